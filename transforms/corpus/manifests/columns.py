"""The columns of manifests: which of them a field of clips comes from."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from transforms.corpus.manifests.column_binding import BoundMapping, bind_mapping, names_in
from transforms.corpus.manifests.column_names import RECORDING_COLUMNS, ColumnNames, words_of
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.headerless import format_names, header_hint
from transforms.corpus.manifests.mapping import (
    CHANNEL,
    CHANNELS,
    END,
    FIELDS,
    FORMAT,
    ID,
    LABELS,
    SAMPLE_RATE,
    SPLIT,
    START,
    URI,
    ColumnMapping,
)
from transforms.corpus.manifests.templates import (
    Placeholder,
    Template,
    column_template,
)

END_COLUMNS = ("start_seconds", "end_seconds")
DURATION_COLUMNS = ("offset", "duration")
# Each line of JSON lines may have different columns: the number and length of names are bounded.
MAX_SEEN_COLUMNS = 1000
_MAX_SEEN_CHARACTERS = 200
_MAX_CACHED = 16
# They describe files without a header, if `format` names a raw format; else they have no meaning.
RAW_COLUMNS = (FORMAT, SAMPLE_RATE, CHANNELS)
_RAW = frozenset(RAW_COLUMNS)
_SAME_NAME = (ID, SPLIT, CHANNEL, *RAW_COLUMNS)
KNOWN_COLUMNS = frozenset(
    (*RECORDING_COLUMNS, *END_COLUMNS, *DURATION_COLUMNS, *_SAME_NAME, LABELS)
)


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a CSV or TSV file, or of one line of JSON lines.

    Attributes:
      names: Names of all columns in order; known ones as spelled in `KNOWN_COLUMNS`.
      sources: Template of each field that has one; of `labels` the first.
      direct: Key of each field that is one column, unchanged.
      labels: Templates of the labels.
      used: Names of the columns that a field comes from.
      keys: Keys of the same columns.
      others: `(key, name)` of each other column, `RAW_COLUMNS` included, and of columns that are
        read under a name that is not in `KNOWN_COLUMNS`.
      others_of_raw: The same without `RAW_COLUMNS`.
    """

    names: tuple[str, ...]
    sources: dict[str, Template]
    direct: dict[str, str]
    labels: tuple[Template, ...]
    used: frozenset[str]
    keys: frozenset[str]
    others: tuple[tuple[str, str], ...]
    others_of_raw: tuple[tuple[str, str], ...]

    def meaning(self) -> tuple[tuple[str, str], ...]:
        """Returns each field and the text of its template."""
        return tuple(
            (field, template.text)
            for field, source in self.sources.items()
            for template in (self.labels if field == LABELS else (source,))
        )


def match_columns(
    names: Sequence[str],
    mapping: BoundMapping | None = None,
    has_onset: bool = False,
    is_header: bool = True,
) -> Columns:
    """Matches columns by the mapping and by name, ignoring case and surrounding spaces.

    Args:
      names: Names of the columns.
      mapping: What the user says of the columns.
      has_onset: Whether other rows of the table have a column onset.
      is_header: Whether the names are a header, not those in a line of JSON lines.

    Raises:
      ManifestError: Not exactly one column names the recording, or two columns have the same
        meaning or exclude each other.
    """
    written: dict[str, str] = {}
    for key in names:
        name = key.strip()
        name = name.casefold() if name.casefold() in KNOWN_COLUMNS else name
        if name in written:
            raise ManifestError(f"two columns are named {format_names([name])}; rename one")
        written[name] = key
    mapping = mapping or BoundMapping((), frozenset())
    sources = dict(mapping.templates)
    _add_by_name(sources, written, names, mapping.given, has_onset)
    if URI not in sources:
        _refuse_without_recording(names, is_header)
    sources = {field: sources[field] for field in FIELDS if field in sources}
    labels = [template for field, template in mapping.templates if field == LABELS]
    if not labels and LABELS in sources:
        labels = [sources[LABELS]]
    read = frozenset(key for each in (*sources.values(), *labels) for key in each.keys)
    keys = set(names)
    taken = {template.key for template in (*sources.values(), *labels)}
    others = [
        (key, key.strip())
        for name, key in written.items()
        if name not in KNOWN_COLUMNS or name in _RAW or key not in taken
    ]
    return Columns(
        tuple(written),
        sources,
        {field: each.key for field, each in sources.items() if each.key in keys},
        tuple(labels),
        frozenset(name for name, key in written.items() if key in read or _top(key, read)),
        read,
        tuple(others),
        tuple((key, name) for key, name in others if name.casefold() not in _RAW),
    )


def _add_by_name(
    sources: dict[str, Template],
    written: Mapping[str, str],
    names: Sequence[str],
    given: frozenset[str],
    has_onset: bool,
) -> None:
    """Adds the fields that columns have by their names."""
    by_name = ColumnNames(names)
    if URI not in given:
        recordings = by_name.recordings()
        if len(recordings) > 1:
            raise ManifestError(
                f"found columns {format_names(names)}: more than one of them names the recording"
                f" ({format_names(recordings)}; allowed: exactly one of"
                f" {format_names(RECORDING_COLUMNS)}); say which, as --columns"
                f" 'uri={{{recordings[0].strip()}}}'"
            )
        if recordings:
            sources[URI] = column_template(recordings[0])
    for name in _SAME_NAME:
        if name not in given and name in written:
            sources[name] = column_template(written[name])
    times = by_name.times(given, has_onset)
    if END in times and START in given:
        _refuse_half_of_a_pair(by_name.starts(), sources, times[END].key)
    for role, column in times.items():
        sources[role] = Template(column.template, parse_bound(column.key, column.unit))
    if LABELS not in given:
        found = by_name.labels()
        if len(found) > 1:
            raise ManifestError(
                f"columns {format_names(found)} both look like the labels: say which with"
                f" --columns 'labels={{{found[0]}}}', given once for each, or --columns labels= for"
                " none"
            )
        if found:
            sources[LABELS] = column_template(found[0])


def _refuse_half_of_a_pair(starts: set[str], sources: Mapping[str, Template], end: str) -> None:
    """Refuses an end by its name where the start beside it is not the one that is read."""
    read = sources[START].keys if START in sources else ()
    others = sorted(starts.difference(read))
    if others:
        raise ManifestError(
            f"--columns says the start, and columns {format_names([*others, end])} look"
            " like another start and its end: say the end, too, as --columns"
            f" 'end={{{end}}}' or --columns end= for none"
        )


def parse_bound(key: str, conversion: str) -> tuple[Placeholder, ...]:
    """Returns the parts of a column's template with one conversion without arguments, or none."""
    return (Placeholder(key, ((conversion, ()),) if conversion else (), key),)


def _refuse_without_recording(names: Sequence[str], is_header: bool) -> None:
    hint = f"; {header_hint(names)}" if is_header else ""
    raise ManifestError(
        f"found columns {format_names(names)}: none of them names the recording (allowed: exactly"
        f" one of {format_names(RECORDING_COLUMNS)}, or a usual name such as file_name); say what"
        f" names it, as --columns 'uri=folder/{{column}}.wav'{hint}"
    )


def _top(key: str, read: frozenset[str]) -> bool:
    """Returns whether a value inside of a JSON value is read."""
    return any(each.startswith(f"{key}.") for each in read)


class ColumnMatcher:
    """Matches the columns of every record of a manifest.

    Args:
      header: Names in the header; None for JSON lines, where null means that a column is absent.
      mapping: What the user says of the columns.
      records: The first records.

    Raises:
      ManifestError: The header or the mapping is invalid, as of `match_columns`.
    """

    def __init__(
        self,
        header: Sequence[str] | None,
        mapping: ColumnMapping | None = None,
        records: Iterable[Mapping[str, object]] = (),
    ) -> None:
        records = list(records)
        self._mapping = bind_mapping(mapping or ColumnMapping(), header, records)
        # A dict as an ordered set.
        self._seen: dict[str, None] = {}
        self._used: set[str] = set()
        self._others: set[str] = set()
        self._meaning: dict[tuple[str, str], None] = {}
        # A cache, as most lines of JSON lines have the same columns as an earlier one.
        self._cache: dict[tuple[str, ...], Columns] = {}
        # An offset that lacks its onset in one line is an end all the same.
        self._has_onset = any(
            "onset" in name.casefold() and "onset" in words_of(name)
            for name in set(names_in(records))
        )
        self._header = None if header is None else match_columns(header, self._mapping)
        if self._header is not None:
            self._remember(self._header)

    def match(self, record: dict[str, object]) -> Columns:
        """Returns the columns of a record.

        Raises:
          ManifestError: The names in a line of JSON lines are invalid, as of `match_columns`.
        """
        if self._header is not None:
            return self._header
        names = tuple(name for name, value in record.items() if value is not None)
        columns = self._cache.get(names)
        if columns is None:
            columns = match_columns(names, self._mapping, self._has_onset, is_header=False)
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            self._cache[names] = columns
            self._remember(columns)
        return columns

    @property
    def fields_to_doubt(self) -> frozenset[str]:
        """Fields that were read by the mapping or by a name that is not in `KNOWN_COLUMNS`."""
        doubtful = {field for field, _ in self._mapping.templates} | {CHANNEL}
        for field, text in self._meaning:
            if text.strip("{}").strip().casefold() not in KNOWN_COLUMNS:
                doubtful.add(field)
        return frozenset(doubtful)

    @property
    def given_raw_fields(self) -> tuple[str, ...]:
        """Fields among `RAW_COLUMNS` that the mapping gives."""
        return tuple(field for field, _ in self._mapping.templates if field in _RAW)

    @property
    def others(self) -> frozenset[str]:
        """Names of the columns so far that are carried along as text."""
        return frozenset(self._others)

    def seen_columns(self, has_raw: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Returns the names of all columns so far: those that are read, and the others.

        Args:
          has_raw: Whether `RAW_COLUMNS` had a meaning in at least one row.
        """
        used = self._used if has_raw else self._used - _RAW
        return (
            tuple(name for name in self._seen if name in used),
            tuple(name for name in self._seen if name not in used),
        )

    def meaning(self, has_raw: bool) -> tuple[tuple[str, str], ...]:
        """Returns each field and its template, as far as rows had them.

        Args:
          has_raw: As for `seen_columns`.
        """
        return tuple(each for each in self._meaning if has_raw or each[0] not in _RAW)

    def _remember(self, columns: Columns) -> None:
        for _, name in columns.others[: MAX_SEEN_COLUMNS - len(self._others)]:
            self._others.add(name[:_MAX_SEEN_CHARACTERS])
        for name in columns.names:
            if len(self._seen) >= MAX_SEEN_COLUMNS:
                return
            short = name[:_MAX_SEEN_CHARACTERS]
            self._seen[short] = None
            if name in columns.used:
                self._used.add(short)
        for field, text in columns.meaning():
            if len(self._meaning) < MAX_SEEN_COLUMNS:
                self._meaning[field, text[:_MAX_SEEN_CHARACTERS]] = None
