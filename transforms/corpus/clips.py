"""Clips, and failures of clips: the plain records that all rooms share."""

import dataclasses
import os
from collections.abc import Iterable
from decimal import Decimal

from transforms.corpus.serialization import CompactPickle, serialize
from transforms.packed import address
from transforms.packed.address import Place

# Every line of the failure table has one of these steps and one of these reasons.
STEPS = ("list", "plan", "decode", "embed", "assemble")
REASONS = (
    "not_found",
    "unreadable",
    "unsupported_format",
    "empty",
    "too_short",
    "non_finite",
    "over_full_scale",
    "decode_error",
    "model_error",
    "duplicate_id",
    "incomplete",
    "invalid_manifest",
    "invalid_row",
    "invalid_time",
    "unknown_label",
    "out_of_range",
    "no_channel",
)


@dataclasses.dataclass(frozen=True)
class RawFormat(CompactPickle):
    """The encoding of a file without a header.

    Attributes:
      name: Name of the sample format, one of `decoding.RAW_FORMATS`, such as `s16le`.
      sample_rate_hz: Audio frames per second.
      num_channels: Number of interleaved channels.
    """

    name: str
    sample_rate_hz: int
    num_channels: int = 1


@dataclasses.dataclass(frozen=True)
class Clip(CompactPickle):
    """A recording or a part of one, which becomes one record.

    Times are exact, in seconds, on a time line on which the recording's file begins at
    `recording_offset_seconds`.

    Attributes:
      id: Valid Unicode, unique in the corpus.
      uri: Path or URL of the recording. On local disk it may hold the surrogates with which Python
        represents bytes that are not UTF-8.
      start_seconds: Start of the clip.
      end_seconds: End of the clip; None for the end of the recording.
      recording_offset_seconds: Time of the file's first sample; not 0 for a file that was cut out
        of a longer recording.
      labels: Labels as given by the user.
      split: Name of the clip's split; empty for a dataset without splits.
      recording: Name of the recording, independent of where it is mounted; empty if it is the
        clip's id.
      raw_format: Encoding of a file without a header; None for all other files.
      columns: Names and values of the remaining columns of its manifest.
      channel: Number of the channel to use, from 1; None for the one of the run.
      manifest: Manifest that lists the clip; empty for a clip of an input.
      line: Line in the manifest, from 1.
      num_bytes: Size of the recording's file; None if the listing does not tell it.
      place: Where the recording lies in a packed file; None for any other recording, and where the
        listing does not tell it.

    Example:
      >>> from decimal import Decimal
      >>> from transforms import Clip
      >>> Clip("call", "birds.wav", Decimal("2.5"), Decimal("4"), labels=("blackbird",)).id
      'call'
    """

    id: str
    uri: str
    start_seconds: Decimal = Decimal(0)
    end_seconds: Decimal | None = None
    recording_offset_seconds: Decimal = Decimal(0)
    labels: tuple[str, ...] = ()
    split: str = ""
    recording: str = ""
    raw_format: RawFormat | None = None
    columns: tuple[tuple[str, str], ...] = ()
    channel: int | None = None
    manifest: str = dataclasses.field(default="", compare=False)
    line: int = dataclasses.field(default=0, compare=False)
    num_bytes: int | None = dataclasses.field(default=None, compare=False)
    place: Place | None = None

    def failure(self, step: str, reason: str, message: str) -> "Failure":
        """Returns the failure of this clip."""
        return Failure(
            self.id,
            self.uri,
            step,
            reason,
            message,
            split=self.split,
            columns=self.columns,
            manifest=self.manifest,
            line=self.line,
        )


@dataclasses.dataclass(frozen=True, order=True)
class Failure(CompactPickle):
    """A clip without a record: one line of the failure table.

    Attributes:
      id: Id of the clip.
      uri: Path or URL of the recording.
      step: Step that failed, one of `STEPS`.
      reason: One of `REASONS`.
      message: Explanation for people: what was found, and what is allowed.
      split, columns, manifest, line: Attributes of the clip.

    Example:
      >>> from transforms import Clip
      >>> Clip("birds", "birds.wav").failure("decode", "empty", "no samples").reason
      'empty'
    """

    id: str
    uri: str
    step: str
    reason: str
    message: str
    split: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    manifest: str = ""
    line: int = 0

    def __post_init__(self) -> None:
        if self.step not in STEPS:
            raise ValueError(f"step={self.step!r} is not one of {STEPS}")
        if self.reason not in REASONS:
            raise ValueError(f"reason={self.reason!r} is not one of {REASONS}")


@dataclasses.dataclass(frozen=True, order=True)
class AudioNote(CompactPickle):
    """A remark about the audio of a record: one line of the table of notes.

    Attributes:
      id: Id of the clip.
      uri: Path or URL of the recording.
      start_seconds: Start of the audio that the note is about, on the time line of the recording's
        file.
      end_seconds: End of that audio; equal to the start if its length is unknown.
      message: Explanation for people.
      split: Split of the clip.

    Example:
      >>> from transforms import AudioNote
      >>> AudioNote("birds", "birds.wav", 1.5, 2.0, "a page is missing").end_seconds
      2.0
    """

    id: str
    uri: str
    start_seconds: float
    end_seconds: float
    message: str
    split: str = ""


def by_recording(clip: Clip) -> tuple[bytes, bytes]:
    """Returns a serialized clip, keyed by its recording's uri.

    Recordings of a packed file that are read in one pass have one key: one task takes them all.
    """
    # As bytes, because Beam's coder of strings rejects names that are not UTF-8.
    return os.fsencode(unit_of(clip)), serialize(clip)


def unit_of(clip: Clip) -> str:
    """Returns the name of what one task reads: a recording, or a part of a packed file."""
    found = address.parse(clip.uri)
    if found is None:
        return clip.uri
    return f"{found.kind}://{'' if clip.place is None else clip.place.unit}::{found.shard}"


def group_recordings(clips: Iterable[Clip]) -> list[list[Clip]]:
    """Groups the clips of a key of `by_recording` by recording, in the order of their places."""
    by_uri: dict[tuple[Place | None, str], list[Clip]] = {}
    for clip in clips:
        by_uri.setdefault((clip.place, clip.uri), []).append(clip)
    return [by_uri[key] for key in sorted(by_uri, key=_place_and_uri)]


def _place_and_uri(key: tuple[Place | None, str]) -> tuple[Place, str]:
    return key[0] or Place(-1, -1), key[1]


def printable(name: str) -> str:
    r"""Returns a file name as valid Unicode: bytes that are not UTF-8 become `\\xNN`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
