"""How the audio of a segment is named: by a template, or as public downloaders name it.

Names that downloaders give to the segment `ID, 30.000, 40.000`, without the suffix:

    ID                               the dataset's mirrors, most scripts
    YID                              qiuqiangkong/audioset_tagging_cnn
    id_ID                            dlrudco/Fast-Audioset-Download
    ID_30000_40000                   audiosetdl, in whole milliseconds (truncated: 4.020 gives 4019)
    ID_30.0-40.0                     audioset-download
    ID_30.000, ID_30                 audioset-processing, aac-datasets
    ID_000030, ID_000030_000040      VGGSound, Kinetics
    [ID]-[30-40]                     keunwoochoi/audioset-downloader
    vID_30_40_out                    hubaak/Download_VGGSound

A file that is named with times was cut to them.
"""

import posixpath
import re
import string
from collections.abc import Iterable, Iterator
from decimal import Decimal

from transforms.corpus.manifests.segments import Segment

_FIELDS = ("id", "start", "end", "start_ms", "end_ms")
_TIME = r"\d{1,9}(?:\.\d{1,9})?"
# Both are tried: an id may end like a time, and `ab_12_30` is `ab_12` from 30 on, or `ab` from 12
# to 30.
_TIMES = tuple(
    re.compile(rf"(?P<stem>.+)[_-]\[?(?P<start>{_TIME}){end}\]?(?:_out)?")
    for end in ("(?P<end>)", rf"[_-](?P<end>{_TIME})")
)
_WRAPPED = re.compile(r"(?:Y|id_|v)(.+)|\[(.+)\]")


class TemplateError(Exception):
    """The template cannot name files; the message says why."""


def check_template(template: str) -> None:
    """Checks a template such as `{id}_{start}_{end}.wav`.

    Raises:
      TemplateError: With what is allowed.
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
            what = f"{{{min(unknown)}}} is unknown" if unknown else "it has no {id}"
            raise TemplateError(f"{what} ({allowed})")
        named(template, Segment("ID", Decimal(30), Decimal(40), (), "", 1))
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise TemplateError(f"{error} ({allowed})") from error
    if any(character in template for character in "*?\0"):
        raise TemplateError("it names one file; without a template, the usual names are searched")


def has_times(template: str) -> bool:
    """Tells whether names by this template hold the segment's times."""
    return any(name not in (None, "id") for _, name, _, _ in string.Formatter().parse(template))


def named(template: str, segment: Segment) -> str:
    """Returns the name of a segment's file.

    Raises:
      ValueError: Its times cannot be written in the template's way.
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
    """Returns the ids of which a file of this name may be the audio."""
    return {name for name, _, _ in _decode_tasks(path)}


def find_segment_audio(segment: Segment, paths: Iterable[str]) -> tuple[str, bool] | None:
    """Finds a segment's file among those that may be its.

    Args:
      segment: Of which the audio is wanted.
      paths: Of files of which the segment's id is a possible one.

    Returns:
      The path, and whether its name says that it is cut to the segment. Such a file is taken before
      one that may hold the whole recording; of several the first by name. None where none fits.
    """
    found = [
        (start is None, path)
        for path in paths
        for name, start, end in _decode_tasks(path)
        if name == segment.id
        and (start is None or _is_time(start, segment.start_seconds))
        and (end is None or _is_time(end, segment.end_seconds))
    ]
    if not found:
        return None
    may_be_whole, path = min(found)
    return path, not may_be_whole


def _decode_tasks(path: str) -> Iterator[tuple[str, str | None, str | None]]:
    """Yields what a name may mean: id, start and end as they are written."""
    stem = posixpath.splitext(posixpath.basename(path))[0]
    decode_tasks: list[tuple[str, str | None, str | None]] = [(stem, None, None)]
    for times in _TIMES:
        if match := times.fullmatch(stem):
            decode_tasks.append((match["stem"], match["start"], match["end"] or None))
    for name, start, end in decode_tasks:
        yield name, start, end
        if match := _WRAPPED.fullmatch(name):
            yield match[1] or match[2], start, end


def _is_time(text: str, seconds: Decimal) -> bool:
    """Tells whether text stands for a time: in seconds, whole seconds or milliseconds."""
    number = Decimal(text)
    if number == seconds:
        return True
    if "." in text:
        return False
    milliseconds = seconds * 1000
    return number == int(seconds) or milliseconds - 2 < number <= milliseconds


def _whole_or_exact(seconds: Decimal) -> int | Decimal:
    return int(seconds) if seconds == seconds.to_integral_value() else seconds
