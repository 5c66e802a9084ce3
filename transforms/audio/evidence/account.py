"""The account of a file's bytes: what they prove about its recording, whatever its header says."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Damage:
    """Audio that is missing or does not decode.

    Attributes:
      start_seconds: Where it begins in the recording; None if that is unknown before decoding, as
        for an end that is missing: it begins where decoding ends.
      num_seconds: Length of the audio that is lost; 0 if it is unknown.
      message: What is damaged, for people, without the position.
    """

    start_seconds: float | None
    num_seconds: float
    message: str


@dataclasses.dataclass(frozen=True)
class Account:
    """What the bytes of a file prove about its recording.

    Attributes:
      num_frames: Exact length of a recording in which the place of every audio frame is known; None
        for all others.
      rates_hz: The sample rates of the recording's parts, in order, where the file tells them
        before decoding; empty otherwise.
      parts: Byte ranges `(start, end)` of recordings that are chained in one file and have to be
        decoded one by one; empty for a single recording.
      damages: Damage that the bytes prove, in order of time.
    """

    num_frames: int | None = None
    rates_hz: tuple[int, ...] = ()
    parts: tuple[tuple[int, int], ...] = ()
    damages: tuple[Damage, ...] = ()
