"""What is asked for, and what became of it: the plain records that the rooms share."""

import dataclasses
from collections.abc import Iterable
from decimal import Decimal

from transforms.corpus.serialization import CompactPickle

# The closed list: step and reason of every line in the failure table.
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
    """What a file without a header holds.

    Attributes:
      name: One of the decoder's names, as `s16le`.
      sample_rate_hz: Frames a second.
      num_channels: Interleaved.
    """

    name: str
    sample_rate_hz: int
    num_channels: int = 1


@dataclasses.dataclass(frozen=True)
class Clip(CompactPickle):
    """One piece of sound that becomes one record.

    Times are exact, in seconds, on a time line on which the recording begins at
    `recording_offset_seconds`.

    Attributes:
      id: Valid Unicode, unique in the corpus.
      uri: Of the recording, as the file system knows it: on local disk it may hold the
        surrogates by which Python stands for bytes that are not UTF-8.
      start_seconds: Where the clip begins.
      end_seconds: Where it ends; None for the recording's own end.
      recording_offset_seconds: Not 0 for a file that was cut out of a longer recording.
      labels: As they were given.
      split: The part of the dataset that the clip is in; empty where there are no parts.
      recording: Name of the recording, the same wherever it is mounted; empty for the clip's id.
      raw_format: For files without a header.
      columns: Names and values of what else its manifest says of it.
      manifest: That asks for it; empty where none does.
      line: In the manifest, from 1.
      num_bytes: Size of the recording's file, where the listing said it.
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
    manifest: str = dataclasses.field(default="", compare=False)
    line: int = dataclasses.field(default=0, compare=False)
    num_bytes: int | None = dataclasses.field(default=None, compare=False)

    def failure(self, step: str, reason: str, message: str) -> "Failure":
        """Returns what the failure table says of this clip."""
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
    """A clip that was asked for and gets no record.

    Attributes:
      id: The clip's.
      uri: The recording's.
      step: One of `STEPS`.
      reason: One of `REASONS`.
      message: For people: what was found, and what is allowed.
      split, columns, manifest, line: The clip's.
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


def printable(name: str) -> str:
    r"""Returns a file name as valid Unicode: bytes that are not UTF-8 become `\\xNN`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def resolve_duplicates(clips: Iterable[Clip]) -> tuple[Clip, list[Failure]]:
    """Decides between clips that share an id: the first by uri, times and labels is kept.

    Args:
      clips: At least one. A clip given twice, with nothing different, is one clip, asked for twice.

    Returns:
      The clip that is kept, and a failure for each other one.
    """
    kept, *others = clips = list(clips)
    if not others:
        return kept, []
    kept, *others = sorted(clips, key=_order)
    failures = []
    before = kept
    for clip in others:
        if clip != before:
            failures.append(clip.failure("plan", "duplicate_id", _why_duplicate(clip, kept)))
        before = clip
    return kept, failures


def _order(clip: Clip) -> tuple[object, ...]:
    raw = clip.raw_format
    return (
        clip.uri,
        clip.start_seconds,
        clip.end_seconds is None,
        clip.end_seconds or 0,
        clip.recording_offset_seconds,
        clip.labels,
        clip.split,
        clip.recording,
        (raw.name, raw.sample_rate_hz, raw.num_channels) if raw else (),
        clip.columns,
        clip.manifest,
        clip.line,
    )


def _why_duplicate(clip: Clip, kept: Clip) -> str:
    if clip.manifest or kept.manifest:
        where = f"line {kept.line} of {printable(kept.manifest)}" if kept.manifest else "an input"
        return (
            f"{where} has the same id, for {printable(kept.uri)}, and is kept; give each clip an id"
            " of its own in the column id"
        )
    return (
        f"{printable(kept.uri)} has the same id and is kept; give one --input above both,"
        " so that their paths differ"
    )
