"""File names of segments: by a template, or as public downloaders name them.

Names of the segment `ID, 30.000, 40.000` by downloader, without the suffix:

    ID                               mirrors of the dataset, most scripts
    YID                              qiuqiangkong/audioset_tagging_cnn
    id_ID                            dlrudco/Fast-Audioset-Download
    ID_30000_40000                   audiosetdl, in whole milliseconds (truncated: 4.020 gives 4019)
    ID_30.0-40.0                     audioset-download
    ID_30.000, ID_30                 audioset-processing, aac-datasets
    ID_000030, ID_000030_000040      VGGSound, Kinetics
    [ID]-[30-40]                     keunwoochoi/audioset-downloader
    vID_30_40_out                    hubaak/Download_VGGSound

A file with times in its name contains the segment only.
"""

import posixpath
import re
import string
from collections.abc import Iterable, Iterator
from decimal import Decimal

from transforms.corpus.manifests.segments import Segment

_FIELDS = ("id", "start", "end", "start_ms", "end_ms")
_TIME = r"\d{1,9}(?:\.\d{1,9})?"
# Both are tried, as an id may end like a time: `ab_12_30` is `ab_12` from 30 on, or `ab` from 12 to
# 30.
_TIMES = tuple(
    re.compile(rf"(?P<stem>.+)[_-]\[?(?P<start>{_TIME}){end}\]?(?:_out)?")
    for end in ("(?P<end>)", rf"[_-](?P<end>{_TIME})")
)
_WRAPPED = re.compile(r"(?:Y|id_|v)(.+)|\[(.+)\]")


class TemplateError(Exception):
    """An invalid template; the message says why."""


def check_template(template: str) -> None:
    """Validates a template such as `{id}_{start}_{end}.wav`.

    Raises:
      TemplateError: The template is invalid; the message says what is allowed.
    """
    allowed = f"allowed: {' '.join(f'{{{field}}}' for field in _FIELDS)}"
    try:
        fields = {
            name
            for _, name, spec, conversion in string.Formatter().parse(template)
            if name is not None
        }
        unknown = fields - set(_FIELDS)
        if unknown or "id" not in fields:
            problem = f"{{{min(unknown)}}} is unknown" if unknown else "{id} is missing"
            raise TemplateError(f"{problem} ({allowed})")
        format_name(template, Segment("ID", Decimal(30), Decimal(40), (), "", 1))
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise TemplateError(f"{error} ({allowed})") from error
    if any(character in template for character in "*?\0"):
        raise TemplateError(
            "*, ? and NUL are not allowed; without a template, the usual names are searched"
        )


def has_times(template: str) -> bool:
    """Returns whether file names of this template contain the segment's times."""
    return any(name not in (None, "id") for _, name, _, _ in string.Formatter().parse(template))


def format_name(template: str, segment: Segment) -> str:
    """Returns the file name of a segment.

    Raises:
      ValueError: The template's format specifications do not fit the segment's times.
    """
    start, end = segment.start_seconds, segment.end_seconds
    return template.format(
        id=segment.id,
        start=_whole_or_exact(start),
        end=_whole_or_exact(end),
        start_ms=int(start * 1000),
        end_ms=int(end * 1000),
    )


def possible_ids(path: str) -> set[str]:
    """Returns the ids of all segments whose audio a file of this name may be."""
    return {name for name, _, _ in _possible_meanings(path)}


def find_segment_audio(segment: Segment, paths: Iterable[str]) -> tuple[str, bool] | None:
    """Finds the audio file of a segment.

    Args:
      segment: The segment.
      paths: Files for which `possible_ids` contains the segment's id.

    Returns:
      The path, and whether the file contains the segment only, judged by its name. Such a file is
      preferred to one that may contain the whole recording; among several, the first path in
      sorted order wins. None if no file matches.
    """
    found = [
        (start is None, path)
        for path in paths
        for name, start, end in _possible_meanings(path)
        if name == segment.id
        and (start is None or _is_time(start, segment.start_seconds))
        and (end is None or _is_time(end, segment.end_seconds))
    ]
    if not found:
        return None
    may_be_whole, path = min(found)
    return path, not may_be_whole


def _possible_meanings(path: str) -> Iterator[tuple[str, str | None, str | None]]:
    """Yields the possible meanings of a file name: id, start and end, as text."""
    stem = posixpath.splitext(posixpath.basename(path))[0]
    meanings: list[tuple[str, str | None, str | None]] = [(stem, None, None)]
    for times in _TIMES:
        if match := times.fullmatch(stem):
            meanings.append((match["stem"], match["start"], match["end"] or None))
    for name, start, end in meanings:
        yield name, start, end
        if match := _WRAPPED.fullmatch(name):
            yield match[1] or match[2], start, end


def _is_time(text: str, seconds: Decimal) -> bool:
    """Returns whether text denotes a time: in seconds, whole seconds or milliseconds."""
    number = Decimal(text)
    if number == seconds:
        return True
    if "." in text:
        return False
    milliseconds = seconds * 1000
    return number == int(seconds) or milliseconds - 2 < number <= milliseconds


def _whole_or_exact(seconds: Decimal) -> int | Decimal:
    return int(seconds) if seconds == seconds.to_integral_value() else seconds
