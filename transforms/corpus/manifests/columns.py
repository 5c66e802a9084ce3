"""The known columns of manifests, matched by name."""

import dataclasses
from collections.abc import Iterable, Sequence

from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.tables import format_names

RECORDING_COLUMNS = ("uri", "path", "audio_filepath", "recording")
END_COLUMNS = ("start_seconds", "end_seconds")
DURATION_COLUMNS = ("offset", "duration")
# Each line of JSON lines may have different columns: the number and length of names are bounded.
MAX_SEEN_COLUMNS = 1000
_MAX_SEEN_CHARACTERS = 200
_MAX_CACHED = 16
# They describe files without a header, if `format` names a raw format; else they have no meaning.
RAW_COLUMNS = ("format", "sample_rate", "channels")
_RAW = frozenset(RAW_COLUMNS)
KNOWN_COLUMNS = frozenset(
    (*RECORDING_COLUMNS, *END_COLUMNS, *DURATION_COLUMNS, *RAW_COLUMNS, "id", "labels", "split")
)


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a CSV or TSV file, or of one line of JSON lines.

    Attributes:
      names: Names of all columns in order; known ones as spelled in `KNOWN_COLUMNS`.
      recording: Key of the column that names the recording, as spelled in the manifest.
      keys: Keys of the known columns that are present, by their name in `KNOWN_COLUMNS`.
      others: `(key, name)` of each other column, `RAW_COLUMNS` included.
      others_of_raw: The same without `RAW_COLUMNS`.
    """

    names: tuple[str, ...]
    recording: str
    keys: dict[str, str]
    others: tuple[tuple[str, str], ...]
    others_of_raw: tuple[tuple[str, str], ...]


def match_columns(names: Sequence[str]) -> Columns:
    """Matches columns by name, ignoring case and surrounding spaces.

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
    keys = {name: key for name, key in written.items() if name in KNOWN_COLUMNS}
    recordings = [keys[name] for name in RECORDING_COLUMNS if name in keys]
    if len(recordings) != 1:
        raise ManifestError(
            f"found columns {format_names(names)}: {'more than one' if recordings else 'none'} of"
            " them names the recording (allowed: exactly one of"
            f" {format_names(RECORDING_COLUMNS)})"
        )
    _check_one_kind_of_times(keys)
    others = [(key, name) for name, key in written.items() if name not in KNOWN_COLUMNS - _RAW]
    return Columns(
        tuple(written),
        recordings[0],
        keys,
        tuple(others),
        tuple((key, name) for key, name in others if name not in _RAW),
    )


def _check_one_kind_of_times(keys: dict[str, str]) -> None:
    ends = [keys[name] for name in END_COLUMNS if name in keys]
    durations = [keys[name] for name in DURATION_COLUMNS if name in keys]
    if ends and durations:
        raise ManifestError(
            f"found columns {format_names(ends)} and {format_names(durations)}; times are either"
            f" {' and '.join(END_COLUMNS)}, or {' and '.join(DURATION_COLUMNS)}; rename the others"
        )


class ColumnMatcher:
    """Matches the columns of every record of a manifest.

    Args:
      header: Names in the header; None for JSON lines, where null means that a column is absent.

    Raises:
      ManifestError: The header is invalid, as of `match_columns`.
    """

    def __init__(self, header: Sequence[str] | None) -> None:
        # A dict as an ordered set.
        self._seen: dict[str, None] = {}
        # A cache, as most lines of JSON lines have the same columns as an earlier one.
        self._cache: dict[tuple[str, ...], Columns] = {}
        self._header = None if header is None else match_columns(header)
        if self._header is not None:
            self._seen.update(dict.fromkeys(self._header.names))

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
            columns = match_columns(names)
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            self._cache[names] = columns
            self._remember(columns.names)
        return columns

    def seen_columns(self, has_raw: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Returns the names of all columns so far: the known ones, and the others.

        Args:
          has_raw: Whether `RAW_COLUMNS` had a meaning in at least one row.
        """
        known = KNOWN_COLUMNS if has_raw else KNOWN_COLUMNS - _RAW
        return (
            tuple(name for name in self._seen if name in known),
            tuple(name for name in self._seen if name not in known),
        )

    def _remember(self, names: Iterable[str]) -> None:
        for name in names:
            if len(self._seen) >= MAX_SEEN_COLUMNS:
                return
            self._seen[name[:_MAX_SEEN_CHARACTERS]] = None
