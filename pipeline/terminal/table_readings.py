"""How tables are read, printed before a job that reads them starts."""

from collections.abc import Iterator, Sequence

from transforms.corpus import recordings
from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.layouts.catalogue import layouts
from transforms.corpus.manifests import column_names
from transforms.corpus.manifests.manifest import ManifestFacts, ManifestReading
from transforms.corpus.manifests.mapping import END, LABELS, SPLIT, START
from transforms.corpus.times import format_seconds
from transforms.packed import address

_MARKS = frozenset({"0", "1", "0.0", "1.0", "true", "false"})
_SPLITS = frozenset(
    {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}
)
_MAX_TABLES = 5
_MAX_PATHS = 3
_MAX_SHOWN = 20
_MAX_CHARACTERS = 200


def lines(readings: Sequence[ManifestReading]) -> Iterator[str]:
    """Yields what to print of the tables of a run."""
    for reading in readings[:_MAX_TABLES]:
        yield from _lines_of(reading)
    if len(readings) > _MAX_TABLES:
        yield f"table     and {len(readings) - _MAX_TABLES} more"


def _lines_of(reading: ManifestReading) -> Iterator[str]:
    facts = reading.facts
    yield f"table     {_shown(facts.uri)}: {_dialect(facts)}"
    if facts.layout:
        yield f"  read as the layout {facts.layout} (--layout none: by the names of its columns)"
    meaning = [f"{field}={_shown(text)}" for field, text in facts.meaning]
    yield f"  columns   {_several(meaning)}"
    if facts.other_columns:
        yield f"  not read  {_several([_shown(name) for name in facts.other_columns])}"
    yield from _notes(reading)
    yield from _first_row(reading.outcomes)
    clips = [outcome for outcome in reading.outcomes if isinstance(outcome, Clip)]
    by_uri = {clip.uri: clip for clip in reversed(clips)}
    for uri in list(dict.fromkeys(clip.uri for clip in clips))[:_MAX_PATHS]:
        yield f"  path      {_shown(printable(uri))}  ({_state(by_uri[uri])})"


def _dialect(facts: ManifestFacts) -> str:
    parts = [facts.format, facts.encoding]
    if facts.delimiter:
        parts.append(f"cells separated by {facts.delimiter!r}")
    if any(field == LABELS for field, _ in facts.meaning):
        separator = facts.label_separator
        parts.append(f"labels separated by {separator!r}" if separator else "one label in a cell")
    return ", ".join(parts)


def _notes(reading: ManifestReading) -> Iterator[str]:
    """Yields notes about cells, and columns that seem to ask for something and are not read."""
    facts = reading.facts
    yield from (f"  NOTE: {_shown(note)}" for note in facts.notes)
    fields = {field for field, _ in facts.meaning}
    marked = _with_values(reading, _MARKS) if not facts.layout and LABELS not in fields else []
    if len(marked) > 1:
        yield (
            f"  NOTE: {_several([_shown(name) for name in marked], ', ')} have only 0 and 1 in the"
            " first rows: labels with a column each are not read; write the names of the columns"
            " that have 1 into one column"
        )
    with_splits = {*_with_values(reading, _SPLITS)}
    of_layout = _columns_of_layout(facts.layout)
    for field, looks_like in (
        (LABELS, lambda name: column_names.looks_like_labels(name) and name not in marked),
        (SPLIT, lambda name: column_names.looks_like_split(name) or name in with_splits),
        (START, lambda name: column_names.looks_like_times(name) and name not in of_layout),
    ):
        found = [name for name in facts.other_columns if looks_like(name)]
        if found and field not in fields and not (field == START and END in fields):
            names = _several([_shown(name) for name in found], ", ")
            yield (
                f"  NOTE: {names} may be meant as {field}, which no column is read as:"
                f" --columns '{field}={{{_shown(found[0])}}}'"
            )


def _with_values(reading: ManifestReading, allowed: frozenset[str]) -> list[str]:
    """Returns the columns that are not read whose values in all first rows are of some."""
    rows = [
        {name: text.strip().casefold() for name, text in each.columns} for each in reading.outcomes
    ]
    names = reading.facts.other_columns if rows else ()
    return [name for name in names if all(row.get(name) in allowed for row in rows)]


def _columns_of_layout(name: str) -> frozenset[str]:
    """Returns the columns that a layout knows, so that it has a reason not to read them."""
    tables = layouts()[name].tables if name else ()
    return frozenset(column for table in tables for column in (*table.header, *table.unread))


def _first_row(outcomes: Sequence[Clip | Failure]) -> Iterator[str]:
    if not outcomes:
        yield "  no row"
        return
    first = outcomes[0]
    if isinstance(first, Failure):
        yield f"  line {first.line}    {first.reason}: {_shown(first.message)}"
        return
    end = "the end" if first.end_seconds is None else f"{format_seconds(first.end_seconds)} s"
    parts = [
        f"id {_shown(first.id)}",
        f"from {format_seconds(first.start_seconds)} s to {end}",
        f"labels {_several([_shown(label) for label in first.labels], ', ')}"
        if first.labels
        else "no labels",
    ]
    parts += [f"split {first.split}"] if first.split else []
    parts += [f"channel {first.channel}"] if first.channel is not None else []
    yield f"  line {first.line}    {'; '.join(parts)}"


def _state(clip: Clip) -> str:
    packed = address.parse(clip.uri)
    what = "its packed file " if packed else ""
    try:
        is_absent = recordings.is_absent_now(clip)
    except OSError as error:
        return f"cannot be looked up: {_shown(error.strerror or str(error))}"
    return f"{what}does not exist, seen from here" if is_absent else f"{what}exists"


def _several(texts: Sequence[str], separator: str = "  ") -> str:
    more = f"{separator}and {len(texts) - _MAX_SHOWN} more" if len(texts) > _MAX_SHOWN else ""
    return separator.join(texts[:_MAX_SHOWN]) + more


def _shown(text: str) -> str:
    """Returns a text without control characters, and not longer than a line or two."""
    short = text if len(text) <= _MAX_CHARACTERS else text[:_MAX_CHARACTERS] + "…"
    return short if short.isprintable() else repr(short)
