"""The values of one manifest record, validated."""

import re
import reprlib
from collections.abc import Collection
from decimal import Decimal

from transforms.corpus.clips import RawFormat
from transforms.corpus.manifests.columns import Columns
from transforms.corpus.manifests.json_lines import json_text
from transforms.corpus.manifests.label_cells import LabelReader
from transforms.corpus.manifests.label_lists import NULLS, whole_number
from transforms.corpus.manifests.recording_uris import RecordingFolder
from transforms.corpus.splits import UNSPLIT, is_split_name
from transforms.corpus.times import parse_seconds

MAX_NAME_CHARACTERS = 4096
MAX_SHOWN_CHARACTERS = 80
SAMPLE_RATES_HZ = range(1_000, 768_001)
NUM_CHANNELS = range(1, 65)

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
    """

    def __init__(
        self, record: dict[str, object], columns: Columns, decimal_commas: bool = False
    ) -> None:
        self._record = record
        self._columns = columns
        self._decimal_commas = decimal_commas
        self.reason = ""
        self.message = ""

    def recording(self, folder: RecordingFolder) -> tuple[str, str]:
        """Returns uri and name of the recording; both empty if invalid."""
        written = self._record[self._columns.recording]
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
        if "id" not in self._columns.keys:
            return ""
        value = self._get("id")
        text = _text(value)
        if text and text.strip() and len(text) <= MAX_NAME_CHARACTERS:
            return text
        allowed = (
            f"must be text of 1 to {MAX_NAME_CHARACTERS} characters that are not all spaces, or a"
            " number; without a column id the path is the id"
        )
        self._invalid("id", value, allowed)
        return ""

    def split(self) -> str:
        """Returns the split; empty if invalid or absent."""
        value = self._get("split")
        text = "" if value is None else _text(value)
        if text is not None:
            text = whole_number(text.strip(" \t"))
            if text == "" or text in NULLS:
                return ""
            if is_split_name(text):
                return text
        allowed = f"must be 1 to 100 of a-z, A-Z, 0-9, _ and -, the first not -, and not {UNSPLIT}"
        self._invalid("split", value, allowed)
        return ""

    def times(self) -> tuple[Decimal | None, Decimal | None]:
        """Returns start and end in seconds; None for one that is invalid or absent."""
        if "duration" not in self._columns.keys:
            name = "offset" if "offset" in self._columns.keys else "start_seconds"
            start = self._start(name)
            end = self._time("end_seconds")
            if end is not None and end <= (start or 0):
                self._invalid_time("end_seconds", f"must be greater than the start, {start or 0}")
            return start, end
        start = self._start("offset")
        duration = self._time("duration")
        if duration is None:
            return start, None
        if duration <= 0:
            self._invalid_time("duration", "must be greater than 0")
            return start, None
        try:
            return start, parse_seconds((start or 0) + duration)
        except ValueError as error:
            self._invalid_time("duration", f"makes the end invalid: {error}")
            return start, None

    def raw_format(self, raw_formats: Collection[str]) -> RawFormat | None:
        """Returns the encoding of a file without a header; None if the record has none.

        Args:
          raw_formats: Names of raw formats, in lower case.
        """
        name = self._raw_name(raw_formats)
        if not name:
            return None
        rate_hz = self._integer("sample_rate", SAMPLE_RATES_HZ)
        num_channels = self._integer("channels", NUM_CHANNELS, default=1)
        return RawFormat(name, rate_hz, num_channels)

    def labels(self, reader: LabelReader) -> tuple[str, ...]:
        """Returns the labels; none if invalid or absent."""
        value = self._get("labels")
        try:
            return reader.read(value)
        except ValueError as error:
            self._invalid("labels", value, str(error))
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
            if (text := value if isinstance(value := self._record[key], str) else _json(value))
        )

    def _raw_name(self, raw_formats: Collection[str]) -> str:
        value = self._get("format")
        name = value.strip().casefold() if isinstance(value, str) else ""
        return name if name in raw_formats else ""

    def _get(self, name: str) -> object:
        key = self._columns.keys.get(name)
        return None if key is None else self._record[key]

    def _start(self, name: str) -> Decimal | None:
        start = self._time(name)
        if start is not None and start < 0:
            self._invalid_time(name, "must be 0 or more")
        return start

    def _time(self, name: str) -> Decimal | None:
        value = self._get(name)
        if value is None or value == "" or (isinstance(value, str) and not value.strip()):
            return None
        if not isinstance(value, str | int | Decimal):
            self._invalid_time(name, "must be a number of seconds")
            return None
        try:
            return parse_seconds(value, self._decimal_commas)
        except ValueError as error:
            self._report("invalid_time", f"{name}: {error}")
            return None

    def _integer(self, name: str, allowed: range, default: int = 0) -> int:
        value = self._get(name)
        text = "" if value is None else _text(value)
        if text == "" and default:
            return default
        match = _INTEGER.fullmatch(text) if text else None
        if match and int(match[1]) in allowed:
            return int(match[1])
        self._invalid(name, value, f"must be an integer from {allowed[0]} to {allowed[-1]}")
        return default

    def _invalid_recording(self, value: object, why: str) -> tuple[str, str]:
        self._report("invalid_row", _message(self._columns.recording, value, why))
        return "", ""

    def _invalid_time(self, name: str, why: str) -> None:
        self._report("invalid_time", _message(self._columns.keys[name], self._get(name), why))

    def _invalid(self, name: str, value: object, why: str) -> None:
        self._report("invalid_row", _message(self._columns.keys.get(name, name), value, why))

    def _report(self, reason: str, message: str) -> None:
        if not self.reason:
            self.reason = reason
            self.message = message


def _text(value: object) -> str | None:
    """Returns text or a number as text, NaN as empty text; None for any other value."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal) and not value.is_finite():
        return ""
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return str(value) if is_number else None


def _json(value: object) -> str:
    """Returns a value of JSON as text, empty for null and for numbers that JSON lacks."""
    text = "" if value is None else json_text(value)
    return "" if text == "null" else text


def _message(column: str, value: object, why: str) -> str:
    name = column.strip()
    if value is None or value == "":
        return f"{name} is empty: it {why}"
    shown = str(value) if isinstance(value, Decimal) else reprlib.repr(value)
    return f"{name}={shown[:MAX_SHOWN_CHARACTERS]}: it {why}"
