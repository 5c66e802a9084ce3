"""What the columns of a manifest mean, by their names."""

import dataclasses
from collections.abc import Iterable, Sequence

from transforms.corpus.manifests.line_reader import ManifestError
from transforms.corpus.manifests.tables import format_names

RECORDING_COLUMNS = ("uri", "path", "audio_filepath", "recording")
END_COLUMNS = ("start_seconds", "end_seconds")
DURATION_COLUMNS = ("offset", "duration")
# Of JSON lines, where each line may have columns of its own.
MAX_SEEN_COLUMNS = 1000
_MAX_NOTED_CHARACTERS = 200
_MAX_KEPT = 16
# These describe files without a header, and only where `format` names a format of such files.
RAW_COLUMNS = ("format", "sample_rate", "channels")
_RAW = frozenset(RAW_COLUMNS)
KNOWN_COLUMNS = frozenset(
    (*RECORDING_COLUMNS, *END_COLUMNS, *DURATION_COLUMNS, *RAW_COLUMNS, "id", "labels", "split")
)


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a CSV or TSV, or of one line of JSON lines.

    Attributes:
      names: All of them in order; those of `KNOWN_COLUMNS` in its spelling.
      recording: That which names the recording, as it is written in the manifest.
      keys: By name in `KNOWN_COLUMNS`, how each one that is there is written in the manifest.
      others: How each other one is written, and its name; `RAW_COLUMNS` are among them.
      others_of_raw: The same without `RAW_COLUMNS`.
    """

    names: tuple[str, ...]
    recording: str
    keys: dict[str, str]
    others: tuple[tuple[str, str], ...]
    others_of_raw: tuple[tuple[str, str], ...]


def match_columns(names: Sequence[str]) -> Columns:
    """Matches columns by name; spaces around it do not matter, nor does case.

    Raises:
      ManifestError: Not exactly one column names the recording; or two columns mean the same, or
        exclude each other.
    """
    written: dict[str, str] = {}
    for key in names:
        name = key.strip()
        name = name.casefold() if name.casefold() in KNOWN_COLUMNS else name
        if name in written:
            raise ManifestError(f"two columns are named {format_names([name])}; rename one")
        written[name] = key
    keys = {name: key for name, key in written.items() if name in KNOWN_COLUMNS}
    recordings = [keys[name] for name in RECORDING_COLUMNS if name in keys]
    if len(recordings) != 1:
        raise ManifestError(
            f"found columns {format_names(names)}: {'more than one' if recordings else 'none'} of"
            f" them names the recording; exactly one must, as {format_names(RECORDING_COLUMNS)}"
        )
    _check_one_pair(keys)
    others = [(key, name) for name, key in written.items() if name not in KNOWN_COLUMNS - _RAW]
    return Columns(
        tuple(written),
        recordings[0],
        keys,
        tuple(others),
        tuple((key, name) for key, name in others if name not in _RAW),
    )


def _check_one_pair(keys: dict[str, str]) -> None:
    ends = [keys[name] for name in END_COLUMNS if name in keys]
    durations = [keys[name] for name in DURATION_COLUMNS if name in keys]
    if ends and durations:
        raise ManifestError(
            f"found columns {format_names(ends)} and {format_names(durations)}; times are either"
            f" {' and '.join(END_COLUMNS)}, or {' and '.join(DURATION_COLUMNS)}: rename those that"
            " are not meant"
        )


class ColumnMatcher:
    """Matches the columns of every record of a manifest.

    Args:
      header: The names in it; None for JSON lines, where a value of null is as good as no column.

    Raises:
      ManifestError: As of `match_columns`, for the header.
    """

    def __init__(self, header: Sequence[str] | None) -> None:
        # A dict for its order.
        self._noted: dict[str, None] = {}
        # Of JSON lines: lines mostly have the columns of a line before.
        self._kept: dict[tuple[str, ...], Columns] = {}
        self._header = None if header is None else match_columns(header)
        if self._header is not None:
            self._noted.update(dict.fromkeys(self._header.names))

    def match(self, record: dict[str, object]) -> Columns:
        """Returns the columns of a record.

        Raises:
          ManifestError: As of `match_columns`, for a line of JSON lines.
        """
        if self._header is not None:
            return self._header
        names = tuple(name for name, value in record.items() if value is not None)
        columns = self._kept.get(names)
        if columns is None:
            columns = match_columns(names)
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[names] = columns
            self._note(columns.names)
        return columns

    def noted(self, has_raw: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Returns the names of all columns so far: those that are understood, and the others.

        Args:
          has_raw: `RAW_COLUMNS` meant something in at least one row.
        """
        meant = KNOWN_COLUMNS if has_raw else KNOWN_COLUMNS - _RAW
        understood = tuple(name for name in self._noted if name in meant)
        return understood, tuple(name for name in self._noted if name not in meant)

    def _note(self, names: Iterable[str]) -> None:
        for name in names:
            if len(self._noted) >= MAX_SEEN_COLUMNS:
                return
            self._noted[name[:_MAX_NOTED_CHARACTERS]] = None
