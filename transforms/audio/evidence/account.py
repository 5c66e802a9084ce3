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
class LinearSamples:
    """Where the samples of a recording are, for a decoder of headerless audio.

    Attributes:
      start: Position of the first byte.
      end: Position behind the last byte: a whole number of audio frames.
      subtype: Encoding, by libsndfile's name, such as `PCM_16`.
      endian: `LITTLE` or `BIG`.
      rate_hz: Sample rate.
      num_channels: Number of interleaved channels.
    """

    start: int
    end: int
    subtype: str
    endian: str
    rate_hz: int
    num_channels: int


@dataclasses.dataclass(frozen=True)
class Account:
    """What the bytes of a file prove about its recording.

    Attributes:
      num_frames: Exact length of a recording in which the place of every audio frame is known; None
        for all others.
      num_seconds: Length of the audio that is there, to about a tenth of a second, where the bytes
        tell it: decoding that ends much earlier has missed some. None if unknown.
      rates_hz: The sample rates of the recording's parts, in order, where the file tells them
        before decoding; empty otherwise.
      parts: Byte ranges `(start, end)` of recordings that are chained in one file and have to be
        decoded one by one; empty for a single recording.
      damages: Damage that the bytes prove, in order of time.
      samples: Where linear samples are, if the file's own header is wrong about it; None if the
        header is right, and for all other encodings.
      audio_range: Byte range `(start, end)` of the recording, if tags, padding or other bytes that
        a decoder may stumble over are in front of it or behind it; None if nothing is.
      is_open: Whether audio is missing at the end that the file does not list, so that a decoder
        may take what it has for all of it.
    """

    num_frames: int | None = None
    num_seconds: float | None = None
    rates_hz: tuple[int, ...] = ()
    parts: tuple[tuple[int, int], ...] = ()
    damages: tuple[Damage, ...] = ()
    samples: LinearSamples | None = None
    audio_range: tuple[int, int] | None = None
    is_open: bool = False


def chained(parts: tuple[tuple[int, int], ...], accounts: list[Account]) -> Account:
    """Returns the account of recordings that stand in one file.

    Args:
      parts: Their byte ranges.
      accounts: Their accounts, each with times from the start of its recording.
    """
    damages: list[Damage] = []
    rates_hz: list[int] = []
    seconds = 0.0
    for account in accounts:
        rates_hz += account.rates_hz
        for damage in account.damages:
            start = damage.start_seconds
            if start is None and account is not accounts[-1]:
                start = account.num_seconds or 0.0
            start = None if start is None else seconds + start
            damages.append(dataclasses.replace(damage, start_seconds=start))
        seconds += account.num_seconds or 0.0
    return Account(None, seconds, tuple(rates_hz), parts, tuple(damages))


class DamageList:
    """Damage found so far, of bounded length: what is beyond it is added to the last entry."""

    _LIMIT = 100

    def __init__(self) -> None:
        """Creates an empty list."""
        self._damages: list[Damage] = []

    def add(self, start_seconds: float | None, num_seconds: float, message: str) -> None:
        """Adds a damage."""
        damage = Damage(start_seconds, max(0.0, num_seconds), message)
        if len(self._damages) < self._LIMIT:
            self._damages.append(damage)
            return
        last = self._damages[-1]
        message = "more damage than is listed"
        self._damages[-1] = Damage(
            last.start_seconds, last.num_seconds + damage.num_seconds, message
        )

    def ordered(self) -> tuple[Damage, ...]:
        """Returns the damages in order of time, those at the end last."""

        def start(damage: Damage) -> tuple[bool, float]:
            return damage.start_seconds is None, damage.start_seconds or 0.0

        return tuple(sorted(self._damages, key=start))
