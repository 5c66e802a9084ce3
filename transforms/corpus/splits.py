"""The parts of a dataset, as train, validation and test, and which of them a recording is in."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction

from transforms.corpus.clips import Clip

# What is in no part, where others are, stands in a folder of this name.
UNSPLIT = "unsplit"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")  # no dot, as all files have one


@dataclasses.dataclass(frozen=True)
class Splits:
    """Shares of the recordings.

    Attributes:
      shares: `(name, share)`; the shares sum up to 1.
    """

    shares: tuple[tuple[str, Fraction], ...]

    def split_of(self, recording: str) -> str:
        """Returns the split of a recording: it follows from the name alone."""
        digest = hashlib.sha256(b"split\0" + recording.encode()).digest()
        place = Fraction(int.from_bytes(digest[:8], "big"), 2**64)
        upto = Fraction(0)
        for name, share in self.shares:
            upto += share
            if place < upto:
                return name
        raise AssertionError("the shares sum up to 1")


def is_split_name(name: str) -> bool:
    """Tells whether a name can be that of a split's folder."""
    return _NAME.fullmatch(name) is not None and name != UNSPLIT


def parse_splits(text: str) -> Splits:
    """Reads shares such as `train=0.8,validation=0.1,test=0.1`.

    Raises:
      ValueError: With what is allowed.
    """
    shares: dict[str, Fraction] = {}
    for part in text.split(","):
        name, _, share = part.strip().partition("=")
        if not is_split_name(name) or name in shares:
            raise ValueError(
                f"{name!r} is no name of a split, or is there twice (allowed: letters, digits, _"
                f" and -, not beginning with a dash, not {UNSPLIT})"
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
        raise ValueError(f"the shares sum up to {float(total):g} (allowed: 1)")
    return Splits(tuple(shares.items()))


def assign_splits(clips: Iterable[Clip], splits: Splits | None) -> Iterator[Clip]:
    """Gives the clips of one recording that have no split the one of the recording."""
    clips = list(clips)
    if splits is None:
        yield from clips
        return
    # A recording that is known by several names is in the split of the first.
    split = splits.split_of(min(clip.recording or clip.id for clip in clips))
    for clip in clips:
        yield clip if clip.split else dataclasses.replace(clip, split=split)
