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
    Title [ID]                       yt-dlp, by default
    Title-ID                         youtube-dl, by default (11 characters are the id)
    NAME.f140                        one format of a video, before both merge it

A file with times in its name contains the segment only. A title may end like an id, and two videos
may have one name: the name that says least besides the id wins, and two titles are ambiguous.
"""

import dataclasses
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
_TITLED = (
    re.compile(r"(?P<title>.+)\[(?P<id>[^\[\]]+)\]"),
    re.compile(r"(?P<title>.+)-(?P<id>[A-Za-z0-9_-]{11})"),
)
# What the downloaders add to the name of one format, such as `.f251-drc` or `.fhls-audio-1`.
_FORMAT = re.compile(r"(.+)\.f(?:\d{1,4}|hls|dash|http)[A-Za-z0-9_-]{0,40}")
# A format of its own in one of these is the picture without the sound, unless there is no other.
_PICTURE_SUFFIXES = frozenset((".mp4", ".mkv", ".mov"))


class TemplateError(Exception):
    """An invalid template; the message says why."""


class AmbiguousNameError(Exception):
    """Several files with different titles may be the one of a segment; the message names two."""


@dataclasses.dataclass(frozen=True, order=True)
class _Meaning:
    """A possible meaning of a file name; of several, the least one is the most certain.

    Attributes:
      may_be_whole: Whether the name has no times.
      is_one_format: 1 for one format of a video, 2 for one that may lack the sound, else 0.
      title: Text besides the id; empty if there is none.
      id: Id of the segment.
      start, end: Times as text; empty if there are none.
    """

    may_be_whole: bool
    is_one_format: int
    title: str
    id: str
    start: str = ""
    end: str = ""

    def is_of(self, segment: Segment) -> bool:
        return (
            self.id == segment.id
            and (not self.start or _is_time(self.start, segment.start_seconds))
            and (not self.end or _is_time(self.end, segment.end_seconds))
        )


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
    return {meaning.id for meaning in _possible_meanings(path)}


def find_segment_audio(segment: Segment, paths: Iterable[str]) -> tuple[str, bool] | None:
    """Finds the audio file of a segment.

    Args:
      segment: The segment.
      paths: Files for which `possible_ids` contains the segment's id.

    Returns:
      The path, and whether the file contains the segment only, judged by its name. Such a file is
      preferred to one that may contain the whole recording, a merged file to one format of it, and
      a name without a title to one with a title; among several, the first path in sorted order
      wins. None if no file matches.

    Raises:
      AmbiguousNameError: The best names have different titles.
    """
    found = [
        (meaning, path)
        for path in paths
        for meaning in _possible_meanings(path)
        if meaning.is_of(segment)
    ]
    if not found:
        return None
    best, path = min(
        found,
        key=lambda each: (
            each[0].may_be_whole,
            each[0].is_one_format,
            each[0].title != "",
            each[1],
        ),
    )
    for other, other_path in sorted(found):
        if (
            best.title
            and other.title not in ("", best.title)
            and (other.may_be_whole, other.is_one_format) == (best.may_be_whole, best.is_one_format)
        ):
            raise AmbiguousNameError(
                f"{posixpath.basename(path)} and {posixpath.basename(other_path)} may both be it:"
                f" keep one of them, or name one {segment.id}{posixpath.splitext(path)[1]}"
            )
    return path, not best.may_be_whole


def _possible_meanings(path: str) -> Iterator[_Meaning]:
    """Yields the possible meanings of a file name."""
    stem, suffix = posixpath.splitext(posixpath.basename(path))
    yield from _meanings_of_stem(stem, 0)
    if match := _FORMAT.fullmatch(stem):
        yield from _meanings_of_stem(match[1], 1 + (suffix.lower() in _PICTURE_SUFFIXES))


def _meanings_of_stem(stem: str, is_one_format: int) -> Iterator[_Meaning]:
    parts = [(stem, "", "")]
    for times in _TIMES:
        if match := times.fullmatch(stem):
            parts.append((match["stem"], match["start"], match["end"]))
    for name, start, end in parts:
        names = [("", name)]
        if match := _WRAPPED.fullmatch(name):
            names.append(("", match[1] or match[2]))
        for titled in _TITLED:
            if match := titled.fullmatch(name):
                names.append((match["title"].strip(" _-") or match["title"], match["id"]))
        for title, id in names:
            yield _Meaning(not start, is_one_format, title, id, start, end)


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
