"""Serialization: equal afterwards, and compact."""

import dataclasses
import pickle
from decimal import Decimal

from transforms.corpus.clips import Clip, RawFormat
from transforms.corpus.serialization import CompactPickle, deserialize, serialize
from transforms.corpus.spans import DecodeTask, FramingConfig, Span

CLIP = Clip("a", "/a.wav", Decimal("1.5"), labels=("x",), raw_format=RawFormat("s16le", 8_000))


def test_dataclasses_are_equal_after_serialization() -> None:
    task = DecodeTask("/a.wav", (Span(CLIP), Span(CLIP, 3, 4, is_remainder=True)))
    for each in (CLIP, task):
        assert deserialize(serialize(each)) == each
    assert deserialize(serialize(CLIP)).raw_format == RawFormat("s16le", 8_000)


def test_trailing_default_values_are_not_stored() -> None:
    @dataclasses.dataclass(frozen=True)
    class Values(CompactPickle):
        first: int = 1
        second: int = 2
        third: int = 3

    for values, stored in [
        (Values(), ()),
        (Values(1, 2, 3), ()),
        (Values(5), (5,)),
        (Values(1, 5), (1, 5)),
        (Values(third=5), (1, 2, 5)),
    ]:
        assert values.__reduce__() == (Values, stored)
    assert len(serialize(Clip("a", "/a.wav"))) < len(
        pickle.dumps(dataclasses.asdict(Clip("a", "/a.wav")))
    )


def test_framing_is_described_for_the_dataset() -> None:
    assert FramingConfig(max_rows=3, pad_short_clips=False, channel=2).describe() == {
        "patch_samples": 15_600,
        "hop_samples": 15_360,
        "hop_seconds": 0.96,
        "max_rows": 3,
        "channels": "number 2",
        "short_clips": "skip",
        "damaged": "fail",
    }
    described = FramingConfig(keep_damaged=True).describe()
    assert (described["channels"], described["short_clips"]) == ("mean", "pad")
    assert described["damaged"] == "keep"
