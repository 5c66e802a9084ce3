"""`tf.train.Example`s, read without TensorFlow, and the recordings in them.

The messages are those of tensorflow/core/example/{example,feature}.proto. What is read is the wire
format, of which unknown fields are skipped.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from transforms.packed.columns import (
    NoAudioError,
    choose,
    find_labels,
    find_rate,
    is_audio_name,
    is_encoded_audio,
)

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_KINDS = {1: "bytes", 2: "float", 3: "int64"}
_MAX_RATE_HZ = 10_000_000
_MAX_LABELS = 10_000
_PCM, _FLOAT = 1, 3
_NUM_AT_ONCE = 2**18


class ExampleError(ValueError):
    """A record that is not understood; the message says why."""


class Feature(NamedTuple):
    """A feature.

    Attributes:
      kind: `bytes`, `float` or `int64`; empty for a feature without values.
      data: Its list, as a message.
    """

    kind: str
    data: memoryview

    def texts(self) -> list[bytes]:
        """Returns the values of a feature of bytes."""
        return [bytes(value) for value in self._values()]

    def first(self) -> memoryview:
        """Returns the first value of a feature of bytes, or nothing."""
        return next(self._values(), memoryview(b""))

    def numbers(self) -> np.ndarray:
        """Returns the values of a feature of numbers: float32 or int64."""
        is_float = self.kind == "float"
        parts = []
        for number, kind, value in _fields(self.data):
            if number != 1:
                continue
            if is_float:
                if kind not in (_BYTES, _FIXED_32) or len(value) % 4:
                    raise ExampleError("a damaged list of floats")
                parts.append(np.frombuffer(value, "<f4"))
            elif kind in (_BYTES, _VARINT):
                parts.append(_varints(value))
        kind_of_none = np.float32 if is_float else np.int64
        return np.concatenate(parts) if parts else np.empty(0, kind_of_none)

    def _values(self) -> Iterator[memoryview]:
        return (value for number, kind, value in _fields(self.data) if (number, kind) == (1, 2))


class Audio(NamedTuple):
    """The features of a recording.

    Attributes:
      name: The feature with its encoded bytes or samples.
      rate: The feature with the sample rate; None without one.
      labels: The feature with labels; None without one.
    """

    name: str
    rate: str | None
    labels: str | None


class Sampling(NamedTuple):
    """What is known of samples beside the records.

    Attributes:
      rate_hz: Sample rate; 0 if it is unknown.
      num_channels: Number of interleaved channels.
    """

    rate_hz: int = 0
    num_channels: int = 1


def parse_example(data: bytes) -> dict[str, Feature]:
    """Returns the features of an Example.

    Raises:
      ExampleError: The record is no Example.
    """
    found: dict[str, Feature] = {}
    for number, kind, features in _fields(memoryview(data)):
        if number != 1 or kind != _BYTES:
            continue
        for _, entry_kind, entry in _fields(features):
            if entry_kind != _BYTES:
                raise ExampleError("it is no tf.train.Example")
            name, feature = "", Feature("", memoryview(b""))
            for key, part_kind, part in _fields(entry):
                if key == 1 and part_kind == _BYTES:
                    name = bytes(part).decode("utf-8", "backslashreplace")
                elif key == 2 and part_kind == _BYTES:
                    for list_kind, value_kind, value in _fields(part):
                        if list_kind in _KINDS and value_kind == _BYTES:
                            feature = Feature(_KINDS[list_kind], value)
            found[name] = feature
    return found


def find_audio(features: Mapping[str, Feature]) -> Audio:
    """Returns the features of the recording in an Example.

    Raises:
      NoAudioError: It has none, or it cannot be told which one it is.
    """
    texts = {name: each.first() for name, each in features.items() if each.kind == "bytes"}
    encoded = [name for name, value in texts.items() if is_encoded_audio(bytes(value[:16]))]
    numbers = [
        name
        for name, each in features.items()
        if each.kind in ("float", "int64") and is_audio_name(name)
    ]
    named = [name for name in texts if is_audio_name(name)]
    name = (
        choose(encoded, "features")
        or choose(numbers, "features")
        or choose([name for name in named if len(texts[name])], "features")
    )
    if name is None:
        there = ", ".join(sorted(features))[:200]
        raise NoAudioError(f"no feature of it holds audio (there are: {there})")
    others = [each for each in features if each != name]
    return Audio(name, find_rate(others), find_labels(others))


def labels_of(features: Mapping[str, Feature], audio: Audio) -> list[bytes] | list[int] | None:
    """Returns the values of the labels.

    Raises:
      ExampleError: They are floats, or too many.
    """
    feature = features.get(audio.labels) if audio.labels is not None else None
    if feature is None or not feature.kind:
        return None
    if feature.kind == "float":
        raise ExampleError(f"the feature {audio.labels} holds floats (allowed: text, integers)")
    values = feature.texts() if feature.kind == "bytes" else feature.numbers().tolist()
    if len(values) > _MAX_LABELS:
        raise ExampleError(f"the feature {audio.labels} has {len(values)} values")
    return values


def recording_of(features: Mapping[str, Feature], audio: Audio, sampling: Sampling) -> bytes:
    """Returns the recording in an Example: its encoded bytes, or a WAV file of its samples.

    Raises:
      ExampleError: Its samples cannot be understood.
    """
    feature = features.get(audio.name)
    if feature is None or not feature.kind:
        raise ExampleError(f"the feature {audio.name} is missing")
    if feature.kind == "bytes":
        return bytes(feature.first())
    samples = feature.numbers()
    rate_hz = _rate_of(features, audio, sampling)
    if feature.kind == "float":
        return _wav(samples.astype("<f4").tobytes(), _FLOAT, 4, rate_hz, sampling.num_channels)
    if not len(samples):
        return b""
    low, high = int(samples.min()), int(samples.max())
    if low < -(2**15) or high >= 2**15:
        raise ExampleError(
            f"the samples are integers from {low} to {high} (allowed: 16 bits, or floats from -1 to"
            " 1)"
        )
    if low >= 0 and high > 0:
        raise ExampleError(
            f"the samples are integers from {low} to {high}, none of them negative: unsigned ones"
            " cannot be told from a constant offset"
        )
    return _wav(samples.astype("<i2").tobytes(), _PCM, 2, rate_hz, sampling.num_channels)


def _rate_of(features: Mapping[str, Feature], audio: Audio, sampling: Sampling) -> int:
    rate_hz: float = sampling.rate_hz
    feature = features.get(audio.rate) if audio.rate is not None else None
    if feature is not None and feature.kind in ("float", "int64"):
        values = feature.numbers()
        if len(values) == 1:
            rate_hz = float(values[0])
    if not rate_hz:
        raise ExampleError(
            "samples without a sample rate (neither a feature such as sample_rate nor features.json"
            " beside the shards has it)"
        )
    if not 0 < rate_hz <= _MAX_RATE_HZ or rate_hz != int(rate_hz):
        raise ExampleError(f"a sample rate of {rate_hz:g} Hz")
    return int(rate_hz)


def _wav(data: bytes, encoding: int, num_bytes: int, rate_hz: int, num_channels: int) -> bytes:
    block = num_bytes * num_channels
    if len(data) % block:
        raise ExampleError(f"the samples are no multiple of {num_channels} channels")
    header = struct.pack(
        "<4sL4s4sLHHLLHH4sL",
        *(b"RIFF", 36 + len(data), b"WAVE"),
        *(b"fmt ", 16, encoding, num_channels, rate_hz, rate_hz * block, block, 8 * num_bytes),
        *(b"data", len(data)),
    )
    return header + data


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Yields number, wire type and value of each field of a message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _BYTES:
            length, at = _varint(data, at)
        elif kind == _VARINT:
            length = _varint(data, at)[1] - at
        elif kind in (_FIXED_32, _FIXED_64):
            length = 4 if kind == _FIXED_32 else 8
        else:
            raise ExampleError("it is no tf.train.Example")
        if not number or at + length > len(data):
            raise ExampleError("it is no tf.train.Example, or damaged")
        yield number, kind, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ExampleError("it is no tf.train.Example, or damaged")


def _varints(data: memoryview) -> np.ndarray:
    """Returns the int64 values of packed varints."""
    octets = np.frombuffer(data, np.uint8)
    if not len(octets):
        return np.empty(0, np.int64)
    ends = np.flatnonzero(octets < 0x80)
    if not len(ends) or ends[-1] != len(octets) - 1:
        raise ExampleError("a damaged list of integers")
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > 10:
        raise ExampleError("a damaged list of integers")
    found = np.empty(len(ends), np.int64)
    for low in range(0, len(ends), _NUM_AT_ONCE):
        high = min(low + _NUM_AT_ONCE, len(ends))
        first = starts[low]
        some = octets[first : ends[high - 1] + 1]
        own_starts = starts[low:high] - first
        shifts = 7 * (np.arange(len(some)) - np.repeat(own_starts, lengths[low:high]))
        parts = (some & 0x7F).astype(np.uint64) << shifts.astype(np.uint64)
        found[low:high] = np.bitwise_or.reduceat(parts, own_starts).view(np.int64)
    return found
