"""The table of notes: one JSON line per remark about the audio of a record, or a repeated row."""

from collections.abc import Iterable, Iterator

from transforms.corpus.clips import AudioNote, printable
from transforms.dataset.table_files import NOTES, json_line, table_name


def note_table_name(name: str) -> str:
    """Returns the file name of the table."""
    return table_name(name, NOTES)


def note_lines(notes: Iterable[AudioNote]) -> Iterator[bytes]:
    """Yields the lines of a table, UTF-8, sorted by id and time.

    Each line is an object with `id`, `uri`, `start_seconds`, `end_seconds` and `message`.
    """
    for note in sorted(notes):
        yield json_line(
            {
                "id": note.id,
                "uri": printable(note.uri),
                "start_seconds": note.start_seconds,
                "end_seconds": note.end_seconds,
                "message": printable(note.message),
            }
        )
