"""The values of one manifest record, validated."""

import functools
import re
import reprlib
from collections.abc import Collection
from decimal import Decimal

from transforms.corpus.clips import RawFormat
from transforms.corpus.manifests.columns import Columns
from transforms.corpus.manifests.headerless import is_recording
from transforms.corpus.manifests.json_lines import json_text
from transforms.corpus.manifests.label_cells import LabelReader, distinct_labels
from transforms.corpus.manifests.label_lists import NULLS, whole_number
from transforms.corpus.manifests.mapping import (
    CHANNEL,
    CHANNELS,
    DURATION,
    END,
    FORMAT,
    ID,
    LABELS,
    SAMPLE_RATE,
    SPLIT,
    START,
    URI,
)
from transforms.corpus.manifests.recording_uris import RecordingFolder
from transforms.corpus.manifests.templates import ConversionError, Template, as_text
from transforms.corpus.spans import MAX_CHANNEL
from transforms.corpus.splits import UNSPLIT, is_split_name
from transforms.corpus.times import parse_seconds

MAX_NAME_CHARACTERS = 4096
MAX_SHOWN_CHARACTERS = 80
SAMPLE_RATES_HZ = range(1_000, 768_001)
NUM_CHANNELS = range(1, 65)
_CHANNELS = range(1, MAX_CHANNEL + 1)
_CHANNEL_NAMES = {"left": 1, "right": 2}
# In place of a field: what the columns of a row mean as a whole.
COLUMNS = "columns"
_TIMES = frozenset({START, END, DURATION})

# Data frames with missing values write integers as floats: 16000.0.
_INTEGER = re.compile(r"([0-9]{1,9})(?:\.0{1,9})?")


class RowFields:
    """The values of one record by their meaning. The first invalid value is reported.

    Args:
      record: Values by key in the manifest.
      columns: Columns of the record.
      decimal_commas: Whether commas in times are decimal commas.

    Attributes:
      reason: Failure reason of the first invalid value, one of `clips.REASONS`; empty if all are
        valid.
      message: Explanation for people: the column, the value, and what is allowed.
      field: Field of the first invalid value.
    """

    def __init__(
        self, record: dict[str, object], columns: Columns, decimal_commas: bool = False
    ) -> None:
        self._record = record
        self._columns = columns
        self._decimal_commas = decimal_commas
        self.reason = ""
        self.message = ""
        self.field = ""

    def recording(self, folder: RecordingFolder) -> tuple[str, str]:
        """Returns uri and name of the recording; both empty if invalid."""
        written = self._get(URI)
        if isinstance(written, dict):
            inside = f"{self._label(URI)}.{_path_inside(written)}"[:MAX_SHOWN_CHARACTERS]
            why = f"must be the path or URL of a recording: say --columns 'uri={{{inside}}}'"
            if "path" in written:
                why += ", or --input for a Parquet file that has the bytes of the audio"
            self._report(COLUMNS, "invalid_row", _message(self._label(URI), written, why))
            return "", ""
        if not isinstance(written, str) or not written.strip():
            return self._invalid_recording(written, "must be the path or URL of a recording")
        if len(written) > MAX_NAME_CHARACTERS:
            return self._invalid_recording(
                written, f"has more than {MAX_NAME_CHARACTERS} characters"
            )
        try:
            return folder.find(written)
        except ValueError as error:
            return self._invalid_recording(written, str(error))

    def id(self) -> str:
        """Returns the id as written; empty if invalid or absent."""
        if ID not in self._columns.sources:
            return ""
        value = self._get(ID)
        text = as_text(value)
        is_missing = isinstance(value, str) and value.strip() in NULLS
        if text and text.strip() and len(text) <= MAX_NAME_CHARACTERS and not is_missing:
            return text
        allowed = (
            f"must be text of 1 to {MAX_NAME_CHARACTERS} characters that are not all spaces, or a"
            f" number, and not {', '.join(sorted(NULLS))}; without a column id the path is the id"
        )
        self._invalid(ID, value, allowed)
        return ""

    def split(self) -> str:
        """Returns the split; empty if invalid or absent."""
        value = self._get(SPLIT)
        text = "" if value is None else as_text(value)
        if text == "":
            return ""
        name = _split_name(text) if text and len(text) <= MAX_NAME_CHARACTERS else None
        if name is not None:
            return name
        allowed = f"must be 1 to 100 of a-z, A-Z, 0-9, _ and -, the first not -, and not {UNSPLIT}"
        self._invalid(SPLIT, value, allowed)
        return ""

    def times(self) -> tuple[Decimal | None, Decimal | None]:
        """Returns start and end in seconds; None for one that is invalid or absent."""
        start = self._time(START)
        if start is not None and start < 0:
            self._invalid_time(START, "must be 0 or more")
        if DURATION not in self._columns.sources:
            end = self._time(END)
            if end is not None and end <= (start or 0):
                self._invalid_time(END, f"must be greater than the start, {start or 0}")
            return start, end
        duration = self._time(DURATION)
        if duration is None:
            return start, None
        if duration <= 0:
            self._invalid_time(DURATION, "must be greater than 0")
            return start, None
        try:
            return start, parse_seconds((start or 0) + duration)
        except ValueError as error:
            self._invalid_time(DURATION, f"makes the end invalid: {error}")
            return start, None

    def channel(self) -> int | None:
        """Returns the number of the channel, from 1; None if invalid or absent."""
        value = self._get(CHANNEL)
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        name = value.strip().casefold() if isinstance(value, str) else ""
        if name in _CHANNEL_NAMES:
            return _CHANNEL_NAMES[name]
        number = _integer(value, _CHANNELS)
        if number is None:
            hint = ""
            if CHANNEL in self._columns.direct:
                column = self._label(CHANNEL)
                hint = f"; channels that count from 0: --columns 'channel={{{column}:plus:1}}'"
            self._invalid(CHANNEL, value, f"must be left, right, or 1 to {MAX_CHANNEL}{hint}")
        return number

    def raw_format(self, raw_formats: Collection[str]) -> RawFormat | None:
        """Returns the encoding of a file without a header; None if the record has none.

        Args:
          raw_formats: Names of raw formats, in lower case.
        """
        name = self._raw_name(raw_formats)
        if not name:
            return None
        rate_hz = self._integer(SAMPLE_RATE, SAMPLE_RATES_HZ)
        num_channels = self._integer(CHANNELS, NUM_CHANNELS, default=1)
        return RawFormat(name, rate_hz, num_channels)

    def labels(self, reader: LabelReader) -> tuple[str, ...]:
        """Returns the labels; none if invalid or absent."""
        templates = self._columns.labels
        if len(templates) < 2:
            return self._labels_in(self._get(LABELS), reader)
        values = (self._value(LABELS, template) for template in templates)
        return distinct_labels(label for each in values for label in self._labels_in(each, reader))

    def _labels_in(self, value: object, reader: LabelReader) -> tuple[str, ...]:
        try:
            return reader.read(value)
        except ValueError as error:
            self._invalid(LABELS, value, str(error))
            return ()

    def other_columns(self, raw_formats: Collection[str]) -> tuple[tuple[str, str], ...]:
        """Returns name and text of each other column that has a value.

        Args:
          raw_formats: As for `raw_format`. With one of them, `RAW_COLUMNS` are known columns.
        """
        is_raw = self._raw_name(raw_formats) != ""
        names = self._columns.others_of_raw if is_raw else self._columns.others
        return tuple(
            (name, text)
            for key, name in names
            if (text := value if isinstance(value := self._record.get(key), str) else _json(value))
        )

    def _raw_name(self, raw_formats: Collection[str]) -> str:
        value = self._get(FORMAT)
        name = value.strip().casefold() if isinstance(value, str) else ""
        return name if name in raw_formats else ""

    def _get(self, field: str) -> object:
        key = self._columns.direct.get(field)
        if key is not None:
            return self._record.get(key)
        template = self._columns.sources.get(field)
        return None if template is None else self._value(field, template)

    def _value(self, field: str, template: Template) -> object:
        try:
            return template.value(self._record)
        except ConversionError as error:
            reason = "invalid_time" if field in _TIMES else "invalid_row"
            self._report(field, reason, f"{field}={template.text}: {error}")
            return None

    def _time(self, field: str) -> Decimal | None:
        value = self._get(field)
        if value is None or value == "" or (isinstance(value, str) and not value.strip()):
            return None
        if not isinstance(value, str | int | Decimal):
            self._invalid_time(field, "must be a number of seconds")
            return None
        try:
            return parse_seconds(value, self._decimal_commas)
        except ValueError as error:
            hint = ""
            if isinstance(value, str) and value.strip() in NULLS:
                column = f"{{{self._label(field)}:without:{value.strip()}}}"
                hint = f"; for {field}s at that of the recording: --columns '{field}={column}'"
            self._report(field, "invalid_time", f"{self._label(field)}: {error}{hint}")
            return None

    def _integer(self, field: str, allowed: range, default: int = 0) -> int:
        value = self._get(field)
        if default and (value is None or value == ""):
            return default
        number = _integer(value, allowed)
        if number is None:
            why = f"must be an integer from {allowed[0]} to {allowed[-1]}"
            self._invalid(field, value, why)
        return number or default

    def _label(self, field: str) -> str:
        template = self._columns.sources.get(field)
        return field if template is None else template.label

    def _invalid_recording(self, value: object, why: str) -> tuple[str, str]:
        self._invalid(URI, value, why)
        return "", ""

    def _invalid_time(self, field: str, why: str) -> None:
        self._report(field, "invalid_time", _message(self._label(field), self._get(field), why))

    def _invalid(self, field: str, value: object, why: str) -> None:
        self._report(field, "invalid_row", _message(self._label(field), value, why))

    def _report(self, field: str, reason: str, message: str) -> None:
        if not self.reason:
            self.field = field
            self.reason = reason
            self.message = message


@functools.lru_cache(maxsize=64)
def _split_name(text: str) -> str | None:
    """Returns the name of a split, empty if the text is a missing value; None if it is invalid."""
    name = whole_number(text.strip(" \t"))
    if name == "" or name in NULLS:
        return ""
    return name if is_split_name(name) else None


def _integer(value: object, allowed: range) -> int | None:
    """Returns an allowed integer, which may be written as a float or as text; else None."""
    text = as_text(value)
    match = _INTEGER.fullmatch(text.strip()) if text else None
    return int(match[1]) if match and int(match[1]) in allowed else None


def _json(value: object) -> str:
    """Returns a value of JSON as text, empty for null and for numbers that JSON lacks."""
    text = "" if value is None else json_text(value)
    return "" if text == "null" else text


def _path_inside(value: dict[str, object], depth: int = 4) -> str:
    """Returns the dotted name of what may be a path in an object, or else of its first value."""
    for name, inside in value.items():
        if isinstance(inside, list) and inside:
            name, inside = f"{name}.0", inside[0]
        if isinstance(inside, str) and is_recording(inside):
            return name
        if isinstance(inside, dict) and depth:
            return f"{name}.{_path_inside(inside, depth - 1)}"
    return next(iter(value), "path")


def _message(column: str, value: object, why: str) -> str:
    name = column.strip()
    if value is None or value == "":
        return f"{name} is empty: it {why}"
    shown = str(value) if isinstance(value, Decimal) else reprlib.repr(value)
    return f"{name}={shown[:MAX_SHOWN_CHARACTERS]}: it {why}"
