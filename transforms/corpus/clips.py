"""What is asked for, and what became of it: the plain records that the rooms share."""

import dataclasses
from collections.abc import Iterable

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
)


@dataclasses.dataclass(frozen=True, order=True)
class Clip:
    """One piece of sound that becomes one record.

    Attributes:
      id: Valid Unicode, unique in the corpus.
      uri: Of the recording, as the file system knows it: on local disk it may hold the
        surrogates by which Python stands for bytes that are not UTF-8.
    """

    id: str
    uri: str


@dataclasses.dataclass(frozen=True, order=True)
class Failure:
    """A clip that was asked for and gets no record.

    Attributes:
      id: The clip's.
      uri: The recording's.
      step: One of `STEPS`.
      reason: One of `REASONS`.
      message: For people: what was found, and what is allowed.
    """

    id: str
    uri: str
    step: str
    reason: str
    message: str

    def __post_init__(self) -> None:
        if self.step not in STEPS:
            raise ValueError(f"step={self.step!r} is not one of {STEPS}")
        if self.reason not in REASONS:
            raise ValueError(f"reason={self.reason!r} is not one of {REASONS}")


def printable(name: str) -> str:
    r"""Returns a file name as valid Unicode: bytes that are not UTF-8 become `\\xNN`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def resolve_duplicates(clips: Iterable[Clip]) -> tuple[Clip, list[Failure]]:
    """Decides between clips that share an id: the first by uri is kept.

    Args:
      clips: At least one. A clip given twice with one uri is one clip, asked for twice.

    Returns:
      The clip that is kept, and a failure for each other recording.
    """
    kept, *others = sorted(set(clips))
    return kept, [
        Failure(
            clip.id,
            clip.uri,
            "plan",
            "duplicate_id",
            f"{printable(kept.uri)} has the same id and is kept; give one --input above both,"
            " so that their paths differ",
        )
        for clip in others
    ]
