"""The meaning of a column by its name, as tables name recordings, times and labels.

Names are compared by their words: `Begin Time (s)`, `begin_time_s` and `beginTimeS` are one name.
"""

import dataclasses
import re
from collections.abc import Iterable, Sequence

from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.headerless import format_names
from transforms.corpus.manifests.mapping import DURATION, END, START


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


RECORDING_COLUMNS = ("uri", "path", "audio_filepath", "recording")
# Understood only where none of `RECORDING_COLUMNS` is there.
_RECORDINGS = _set("""
    file filename file_name filepath file_path fname wav wav_file wav_filename wav_path
    audio audio_file audio_filename audio_file_name audio_path audio_file_path sound_file begin_path
    recording_file recording_path recording_filename
    """)
# In order: a later kind is read only where no earlier one is there.
_LABEL_NAMES = (
    frozenset({"labels"}),
    _set("label event_label event_labels class_label class_labels label_name"),
    _set("class classes class_name category categories tag tags trial_type species"),
)
_LABEL_WORDS = _set(
    "label labels class classes category categories target targets tag tags species annotation"
    " annotations genre genres emotion emotions"
)
_SPLIT_WORDS = _set("split subset partition")

_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_GLUED = re.compile(r"(start|begin|end|stop)(time|seconds|sec|ms|s)")
_START_WORDS = _set("start begin onset tstart tmin")
_END_WORDS = _set("end stop tend tstop tmax")
_DURATION_WORDS = _set("duration dur")
_LENGTH_WORDS = _set("length len")
_CONTEXT = _set(
    "t time times timestamp clip segment seg event audio utt utterance call sound chunk window"
    " annotation region"
)
# Words of names that are noted, but not understood.
_TIME_WORDS = _set(
    "from to t0 t1 xmin xmax offset timestamp onsets offsets starts begins ends startpoint endpoint"
)
_EXTREMES = _set("min max")
_NOT_TIMES = _set("date day month year file path name freq frequency hz id lat lon latitude page")
_SECONDS = _set("s sec secs second seconds")
_UNITS = {
    **dict.fromkeys(_set("ms msec msecs millis millisecond milliseconds"), "millis"),
    **dict.fromkeys(_set("us usec usecs micros microsecond microseconds"), "micros"),
}
_UNCLEAR = _set(
    "sample samples frame frames idx index pos position ns tick ticks min minute minutes h hour"
    " hours hms num"
)
_MAY_BE_TIME = re.compile(
    "|".join(sorted(_START_WORDS | _END_WORDS | _DURATION_WORDS | _LENGTH_WORDS))
    + "|offset|num_samples|num_frames"
)
# A longer name means nothing by its words.
_MAX_CHARACTERS = 100
_ONSET, _OFFSET = "onset", "offset"
_EXACT = {START: "start_seconds", END: "end_seconds", DURATION: "duration"}
# UrbanSound8K's times are those of the recording that the file was cut from.
_CUT_FILES = "slice_file_name"


@dataclasses.dataclass(frozen=True)
class TimeColumn:
    """A column whose name is about times.

    Attributes:
      key: The column.
      role: `start`, `end` or `duration`, or `offset`, whose meaning depends on other columns.
      unit: A conversion to seconds; empty for seconds.
      is_clear: Whether the name tells the unit, or none.
      is_onset: Whether the name has the word onset.
    """

    key: str
    role: str
    unit: str = ""
    is_clear: bool = True
    is_onset: bool = False

    @property
    def template(self) -> str:
        """Template of the time in seconds."""
        return f"{{{self.key}:{self.unit}}}" if self.unit else f"{{{self.key}}}"


def words_of(name: str) -> list[str]:
    """Returns the words of a column's name, in lower case."""
    words = _WORD.findall(_HUMP.sub("_", name).casefold())
    glued = (_GLUED.fullmatch(word) for word in words)
    return [part for word, two in zip(words, glued, strict=True) for part in _parts(word, two)]


def looks_like_labels(name: str) -> bool:
    """Returns whether a name has a word for labels."""
    return bool(_LABEL_WORDS.intersection(words_of(name)))


def looks_like_split(name: str) -> bool:
    """Returns whether a name has a word for splits."""
    return bool(_SPLIT_WORDS.intersection(words_of(name)))


def looks_like_times(name: str) -> bool:
    """Returns whether a name has a word for times within a recording."""
    words = set(words_of(name))
    is_time = bool(words & (_TIME_WORDS | _START_WORDS | _END_WORDS)) or (
        len(words) == 2 and bool(words & _EXTREMES) and bool(words & {"t", "time"})
    )
    return is_time and not words & _NOT_TIMES


class ColumnNames:
    """The columns of a table, or of a line of JSON lines, by what their names mean.

    Args:
      names: Names of all columns.
    """

    def __init__(self, names: Iterable[str]) -> None:
        # Each name is taken apart once: a hostile line has a hundred thousand of them.
        self._joined = {name: _joined(name) for name in names if len(name) <= _MAX_CHARACTERS}

    def recordings(self) -> list[str]:
        """Returns the columns that name the recording: one, if the table is understood."""
        exact = [name for name in self._joined if name.strip().casefold() in RECORDING_COLUMNS]
        return exact or [name for name, joined in self._joined.items() if joined in _RECORDINGS]

    def labels(self) -> list[str]:
        """Returns the columns of labels: one, if the table is understood."""
        for kind in _LABEL_NAMES:
            if found := [name for name, joined in self._joined.items() if joined in kind]:
                return found
        return []

    def all_times(self) -> list[str]:
        """Returns the columns whose names are those of starts, ends, durations or offsets."""
        return [column.key for column in self._times()]

    def starts(self) -> set[str]:
        """Returns the columns whose names are those of starts."""
        return {column.key for column in self._times() if column.role == START}

    def times(self, given: frozenset[str], has_onset: bool = False) -> dict[str, TimeColumn]:
        """Returns the columns of times by `start`, `end` and `duration`.

        Args:
          given: Fields for which no column is to be found, because the user says what they are.
          has_onset: Whether other rows of the table have a column onset, so that `offset` is an
            end.

        Raises:
          ManifestError: Two columns have the same meaning or exclude each other, or the name of one
            does not tell its unit.
        """
        if self._has_cut_files():
            return {}
        columns = self._times()
        has_onset = has_onset or any(column.is_onset for column in columns)
        found: dict[str, TimeColumn] = {}
        for role in (START, END):
            if role not in given:
                _add(found, role, columns)
        _add_offset(found, [each for each in columns if each.role == _OFFSET], given, has_onset)
        if DURATION not in given:
            _add_duration(found, columns, given)
        if END in found and DURATION in found:
            raise _contradiction([found[END].key], [found[DURATION].key])
        _check_units(found.values())
        return found

    def _times(self) -> list[TimeColumn]:
        found = (
            _time_column(name, joined.split("_"))
            for name, joined in self._joined.items()
            if _MAY_BE_TIME.search(joined)
        )
        return [column for column in found if column]

    def _has_cut_files(self) -> bool:
        return _CUT_FILES in self._joined.values()


def _add(found: dict[str, TimeColumn], role: str, columns: list[TimeColumn]) -> None:
    columns = [column for column in columns if column.role == role]
    exact = [each for each in columns if each.key.strip().casefold() == _EXACT[role]]
    columns = exact or [column for column in columns if column.is_clear] or columns
    if len(columns) > 1:
        raise ManifestError(
            f"columns {format_names([each.key for each in columns])} both look like the {role} of"
            f" clips: say which one with --columns '{role}={columns[0].template}'"
        )
    if columns:
        found[role] = columns[0]


def _add_offset(
    found: dict[str, TimeColumn],
    offsets: list[TimeColumn],
    given: frozenset[str],
    has_onset: bool,
) -> None:
    """Adds an offset: an end beside an onset, a start beside a duration or alone."""
    role = END if has_onset else START
    if not offsets or role in given:
        return
    others = [found[each].key for each in (START, END) if each in found]
    if has_onset:
        others = [found[END].key] if END in found else []
    if others:
        raise _contradiction(others, [each.key for each in offsets])
    _add(found, role, [dataclasses.replace(each, role=role) for each in offsets])


def _add_duration(
    found: dict[str, TimeColumn], columns: list[TimeColumn], given: frozenset[str]
) -> None:
    """Adds a duration; a length counts only where clips start, and nothing else ends them."""
    starts = START in found or START in given
    if END in found or not starts:
        columns = [column for column in columns if column.is_clear]
    _add(found, DURATION, columns)


def _check_units(columns: Iterable[TimeColumn]) -> None:
    for column in columns:
        if not column.is_clear:
            raise ManifestError(
                f"column {format_names([column.key])} looks like the {column.role} of clips, and"
                f" its name does not tell the unit: say --columns"
                f" '{column.role}={{{column.key}:samples:16000}}' (or :millis, or no conversion for"
                f" seconds), or --columns {column.role}= if it is something else"
            )


def _contradiction(some: list[str], others: list[str]) -> ManifestError:
    return ManifestError(
        f"found columns {format_names(some)} and {format_names(others)}; times are either"
        " start_seconds and end_seconds, or onset and offset, or a start (onset, offset) and"
        " duration: say which to read, as --columns duration= for none of that name"
    )


def _time_column(name: str, words: Sequence[str]) -> TimeColumn | None:
    for role, kinds in (
        (START, _START_WORDS),
        (END, _END_WORDS),
        (DURATION, _DURATION_WORDS | _LENGTH_WORDS),
        (_OFFSET, frozenset({_OFFSET})),
    ):
        rest = [word for word in words if word not in kinds and word not in _CONTEXT]
        if len([word for word in words if word in kinds]) != 1:
            continue
        unclear = [word for word in rest if word in _UNCLEAR]
        units = [word for word in rest if word in _UNITS]
        if any(word not in _UNITS and word not in _UNCLEAR | _SECONDS for word in rest):
            return None
        is_clear = not unclear and len(rest) <= 1 and not _LENGTH_WORDS.intersection(words)
        unit = _UNITS[units[0]] if units and is_clear else ""
        return TimeColumn(name, role, unit, is_clear, _ONSET in words)
    # num_samples, num_frames: a length.
    if set(words) in ({"num", "samples"}, {"num", "frames"}):
        return TimeColumn(name, DURATION, is_clear=False)
    return None


def _joined(name: str) -> str:
    return "_".join(words_of(name))


def _parts(word: str, glued: "re.Match[str] | None") -> tuple[str, ...]:
    return glued.groups() if glued else (word,)
