"""Names of the columns of Parquet files and features of Examples, and what these hold."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from transforms.packed.address import Place

# The first of these names that there is holds the labels.
LABEL_NAMES = (
    *("labels", "label", "classes", "class", "class_name", "class_label"),
    *("categories", "category", "tags", "tag", "cls"),
)
_AUDIO_NAME = re.compile(
    r"(encoded_)?(audio|wav|waveform|flac|mp3|ogg|sound|speech|clip|samples|pcm)"
    r"([_/](bytes|encoded|data|content|samples|waveform|array))?"
)
_RATE_NAME = re.compile(
    r"((audio|wav|waveform)[_/])?(sample_?rate|sampling_?rate|sr|rate|fs)(_?hz)?", re.IGNORECASE
)
# The first bytes of encoded audio: offset and bytes.
_SIGNATURES = (
    *((0, b"RIFF"), (0, b"RF64"), (0, b"FORM"), (0, b"fLaC"), (0, b"OggS"), (0, b"ID3")),
    *((0, b"caff"), (0, b".snd"), (0, b"\x1aE\xdf\xa3"), (4, b"ftyp"), (0, b"#!AMR")),
)


class NoAudioError(ValueError):
    """A file of rows or records without audio; the message says what it has."""


class Layout(NamedTuple):
    """What is read of a file of rows or records.

    Attributes:
      audio: The column or feature of the recordings.
      labels: That of their labels; None without one.
      others: Those that are not read.
    """

    audio: str
    labels: str | None
    others: tuple[str, ...]


class Row(NamedTuple):
    """A row or record with a recording.

    Attributes:
      name: Its number in the file, from 0.
      place: Its place.
      problem: Why it cannot be read; empty if it can.
      labels: Its labels: text, bytes, an integer or a list of these; None without any.
      label_names: Names of labels that are integers from 0; empty if they are unknown.
      path: Path of the recording, if it is a file of its own.
    """

    name: str
    place: Place
    problem: str = ""
    labels: Any = None
    label_names: tuple[str, ...] = ()
    path: str | None = None


def find_labels(names: Iterable[str]) -> str | None:
    """Returns the name, among those of an object, that holds labels; None if there is none."""
    by_name = {name.casefold(): name for name in names}
    return next((by_name[name] for name in LABEL_NAMES if name in by_name), None)


def find_rate(names: Iterable[str]) -> str | None:
    """Returns the name, among those of an object, that holds the sample rate, if one does."""
    found = [name for name in names if _RATE_NAME.fullmatch(name)]
    return found[0] if len(found) == 1 else None


def is_audio_name(name: str) -> bool:
    """Returns whether a column or feature of this name is meant to hold audio."""
    return _AUDIO_NAME.fullmatch(name.casefold()) is not None


def is_encoded_audio(beginning: bytes) -> bool:
    """Returns whether bytes begin as encoded audio does."""
    if beginning[:1] == b"\xff" and len(beginning) > 1 and beginning[1] & 0xE0 == 0xE0:
        return beginning[1] != 0xFF and beginning[1:2] != b"\xd8"  # MPEG, and no JPEG
    return any(beginning[at:].startswith(magic) for at, magic in _SIGNATURES)


def choose(found: list[str], what: str) -> str | None:
    """Returns the only one of some columns, or the only one that is named as audio is.

    Raises:
      NoAudioError: It cannot be told which one holds the recordings.
    """
    if len(found) < 2:
        return found[0] if found else None
    named = [name for name in found if is_audio_name(name)]
    if "audio" in named:
        return "audio"
    if len(named) == 1:
        return named[0]
    raise NoAudioError(f"several {what} may hold the recordings: {', '.join(sorted(found))[:200]}")
