"""Mutations of files, each drawn from a random number generator alone."""

import random
from collections.abc import Callable

from tests.fuzz import structures
from tests.fuzz.structures import Field

SUFFIXES = (
    *(".g722", ".gsm", ".flac", ".bin", ".wav", ".mp3", ".ogg", ".opus", ".m4a", ".webm", ".mkv"),
    *(".ul", ".ulaw", ".al", ".alaw", ".sln", ".sln16", ".g729", ".g726", ".aac", ".m3u8", ".txt"),
    *(".amr", ".wma", ".aiff", ".caf", ".ts", ".mpg", ".avi", ".flv", ".spx", ".w64", ".au", ""),
)
# Numbers that count bytes, frames or channels are interesting around these.
_POWERS = (7, 8, 15, 16, 24, 28, 31, 32, 36, 48, 63, 64)
# As a file is mutated again and again it must not grow without limit.
MOST_BYTES = 400_000

_Mutation = Callable[[random.Random, bytes, bytes], bytes]


def mutate(rng: random.Random, data: bytes, other: bytes) -> tuple[bytes, str]:
    """Returns a file mutated once or several times, and the names of the mutations.

    Args:
      rng: The only source of chance.
      data: The file.
      other: Another file, parts of which may be taken.
    """
    names = []
    for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 3, 6))):
        mutation = rng.choice(_MUTATIONS)
        names.append(mutation.__name__.strip("_"))
        data = mutation(rng, data, other)[:MOST_BYTES]
    if rng.random() < 0.5:
        data = structures.with_valid_checksums(data)
    return data, " ".join(names)


def hostile_number(rng: random.Random, current: int) -> int:
    """Returns a number that a header should not have."""
    power = 1 << rng.choice(_POWERS)
    near = rng.choice((-2, -1, 1, 2, 44))
    return rng.choice(
        (0, 1, power, power - 1, power - 37, current + near, 2 * current, current // 2, ~current)
    )


def _place(rng: random.Random, data: bytes) -> int:
    """Returns an offset, more often near the beginning, where headers are."""
    return int(len(data) * rng.random() ** rng.choice((1, 1, 4)))


def _range(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = _place(rng, data)
    return start, min(len(data), start + int(2 ** rng.uniform(0, 12)))


def _flip_bits(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(int(2 ** rng.uniform(0, 7))):
        if changed:
            at = min(_place(rng, data), len(data) - 1)
            changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    start, end = _range(rng, data)
    num_bytes = end - start
    run = rng.choice((bytes(num_bytes), b"\xff" * num_bytes, rng.randbytes(num_bytes)))
    return data[:start] + run + data[end:]


def _truncate(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    return data[: _place(rng, data)]


def _lose_beginning(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    return data[int(2 ** rng.uniform(0, 10)) :]


def _remove(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    start, end = _range(rng, data)
    return data[:start] + data[end:]


def _insert(rng: random.Random, data: bytes, other: bytes) -> bytes:
    at = _place(rng, data)
    start, end = _range(rng, other)
    num_bytes = end - start
    run = rng.choice((bytes(num_bytes), rng.randbytes(num_bytes), other[start:end]))
    return data[:at] + run + data[at:]


def _duplicate(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    start, end = _range(rng, data)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 20)) + data[end:]


def _splice(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: _place(rng, data)] + other[_place(rng, other) :]


def _concatenate(_rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data + other


def _append(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    tags = (b"TAG" + bytes(125), b"APETAGEX" + bytes(24), b"ID3\x03\x00\x00\x00\x00\x00\x7f")
    num_bytes = int(2 ** rng.uniform(0, 14))
    return data + rng.choice((*tags, bytes(num_bytes), rng.randbytes(num_bytes)))


def _set_integer(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    """Sets bytes anywhere, mostly in the header, to a hostile number."""
    num_bytes = rng.choice((1, 2, 3, 4, 8))
    start = min(_place(rng, data), max(0, len(data) - num_bytes))
    return _set(rng, data, Field(start, num_bytes, rng.choice(("big", "little"))))


def _set_field(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Sets a number of the format's own structure, such as a size, to a hostile one."""
    found = [unit.fields for unit in structures.units(data) if unit.fields]
    if not found:
        return _set_integer(rng, data, other)
    return _set(rng, data, rng.choice(rng.choice(found)))


def _set(rng: random.Random, data: bytes, field: Field) -> bytes:
    end = field.start + field.num_bytes
    old = data[field.start : end]
    current = int(old) if field.kind == "text" else int.from_bytes(old, field.order)
    return data[: field.start] + field.written(hostile_number(rng, current)) + data[end:]


def _move_unit(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Removes, repeats or swaps chunks, boxes, pages or frames, or takes one of another file."""
    found = structures.units(data)
    if len(found) < 2:
        return _duplicate(rng, data, other)
    first, second = sorted(rng.sample(found, 2))
    one = data[first.start : first.end]
    action = rng.choice(("remove", "repeat", "swap", "take"))
    if action == "remove":
        return data[: first.start] + data[first.end :]
    if action == "repeat":
        return data[: second.start] + one * rng.choice((1, 2, 50)) + data[second.start :]
    if action == "swap" and first.end <= second.start:
        two = data[second.start : second.end]
        return data[: first.start] + two + data[first.end : second.start] + one + data[second.end :]
    taken = rng.choice(structures.units(other) or found)
    return data[: first.start] + other[taken.start : taken.end] + data[first.end :]


_MUTATIONS: tuple[_Mutation, ...] = (
    *(_flip_bits, _overwrite, _truncate, _lose_beginning, _remove, _insert, _duplicate, _splice),
    *(_concatenate, _append, _set_integer, _set_integer, _set_field, _set_field, _set_field),
    *(_move_unit, _move_unit),
)
