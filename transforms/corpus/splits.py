"""Splits of a dataset, such as train, validation and test, assigned by recording."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction

from transforms.corpus.clips import Clip

# Folder of the clips without a split in a dataset that has splits.
UNSPLIT = "unsplit"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")  # no dot, which every file name has


@dataclasses.dataclass(frozen=True)
class Splits:
    """Splits with their shares of the recordings.

    Attributes:
      shares: `(name, share)` of each split; the shares sum to 1.

    Example:
      >>> from transforms import parse_splits
      >>> parse_splits("train=0.9,test=0.1").split_of("birds.wav")
      'train'
    """

    shares: tuple[tuple[str, Fraction], ...]

    def split_of(self, recording: str) -> str:
        """Returns the split of a recording, which depends on its name only."""
        digest = hashlib.sha256(b"split\0" + recording.encode()).digest()
        position = Fraction(int.from_bytes(digest[:8], "big"), 2**64)
        cumulative_share = Fraction(0)
        for name, share in self.shares:
            cumulative_share += share
            if position < cumulative_share:
                return name
        raise AssertionError("the shares sum to 1")


def is_split_name(name: str) -> bool:
    """Returns whether a split may have this name."""
    return _NAME.fullmatch(name) is not None and name != UNSPLIT


def parse_splits(text: str) -> Splits:
    """Parses splits such as `train=0.8,validation=0.1,test=0.1`.

    Raises:
      ValueError: The text is not valid; the message says what is allowed.

    Example:
      >>> from transforms import parse_splits
      >>> [name for name, share in parse_splits("train=0.8,validation=0.1,test=0.1").shares]
      ['train', 'validation', 'test']
    """
    shares: dict[str, Fraction] = {}
    for part in text.split(","):
        name, _, share = part.strip().partition("=")
        if not is_split_name(name) or name in shares:
            raise ValueError(
                f"split name {name!r} is invalid or occurs twice (allowed: letters, digits, _ and"
                f" -, not starting with -, not {UNSPLIT})"
            )
        try:
            number = Decimal(share)
        except ArithmeticError:
            number = Decimal("NaN")
        if not (number.is_finite() and 0 < number <= 1) or number.adjusted() < -12:
            raise ValueError(f"{part.strip()!r} (allowed: NAME=SHARE with a share from 0 to 1)")
        shares[name] = Fraction(number)
    total = sum(shares.values())
    if total != 1:
        raise ValueError(f"the shares sum to {float(total):g} (allowed: 1)")
    return Splits(tuple(shares.items()))


def assign_splits(clips: Iterable[Clip], splits: Splits | None) -> Iterator[Clip]:
    """Assigns the recording's split to those of its clips that have none."""
    clips = list(clips)
    if splits is None:
        yield from clips
        return
    # A recording with several names is in the split of the first one in sorted order.
    split = splits.split_of(min(clip.recording or clip.id for clip in clips))
    for clip in clips:
        yield clip if clip.split else dataclasses.replace(clip, split=split)
