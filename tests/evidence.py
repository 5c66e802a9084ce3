"""Examination of bytes in memory, in the least convenient kind of file."""

import io

from transforms.audio.evidence import examination
from transforms.audio.evidence.account import Account


class Trickle(io.BytesIO):
    """A file that gives a part of what is read, as sockets do, and no end beyond its own."""

    def read(self, num_bytes: int | None = -1, /) -> bytes:
        """Returns at most 10,000 bytes."""
        assert num_bytes is not None
        assert num_bytes >= 0
        return super().read(min(num_bytes, 10_000))


def examine(content: bytes) -> Account:
    """Returns the account of a file with this content."""
    return examination.examine(Trickle(content))


def starts(account: Account) -> list[float | None]:
    """Returns the times at which an account's damages begin, to a hundredth of a second."""
    return [
        None if damage.start_seconds is None else round(damage.start_seconds, 2)
        for damage in account.damages
    ]
