"""Damage at the edges of clips: one that begins inside a hole, and one that has nothing else."""

import dataclasses

import pytest

from tests.sounds import encode
from tests.span_results import VGGISH, clip, cut_into, noise, read
from transforms.corpus.spans import single_task

KEEP = dataclasses.replace(VGGISH, keep_damaged=True)
RATE_HZ = 16_000
SOUND = noise(30 * RATE_HZ)[:, 0]
# With a hole from 14.848 s to 15.104 s, one block of 4096 samples.
_FLAC = encode(SOUND, RATE_HZ, "FLAC")
HOLE = _FLAC[: len(_FLAC) // 2] + bytes(3_000) + _FLAC[len(_FLAC) // 2 + 3_000 :]


@pytest.mark.parametrize("start", ["14.9", "15", "15.05"])
def test_a_clip_that_begins_inside_a_hole_is_damaged(start: str) -> None:
    task = single_task([clip("inside", start, "20"), clip("behind", "15.104", "20")])
    results = read(HOLE, task, VGGISH)
    assert results.outcomes() == {"inside": "decode_error", "behind": "ok"}
    assert f"after {float(start):.3f} s" in results.failure("inside").message
    results = read(HOLE, task, KEEP)
    assert results.outcomes() == {"inside": "ok", "behind": "ok"}
    (damage,) = results.damages
    assert damage.clip_id == "inside"
    assert (damage.start_seconds, damage.end_seconds) == (float(start), 15.104)
    num_silent = round((15.104 - float(start)) * RATE_HZ)
    first = results.patches("inside")[0]
    assert not first[:num_silent].any()
    assert (
        first[num_silent + 1 :].tolist() == SOUND[241_665 : 241_665 + 15_599 - num_silent].tolist()
    )


@pytest.mark.parametrize("seconds", [20, 20.4])
def test_a_damaged_remainder_without_a_row_is_a_failure(seconds: float) -> None:
    truncated = encode(SOUND, RATE_HZ)[: 44 + int(seconds * RATE_HZ) * 2]
    framing = cut_into("10")
    expected = {"a#0": "ok", "a#10": "ok", "a#20": "decode_error"}
    for keep_damaged in (False, True):
        how = dataclasses.replace(framing, keep_damaged=keep_damaged)
        results = read(truncated, single_task([clip("a")]), how)
        assert results.outcomes() == expected
        assert "the header declares 960000 bytes of samples" in results.failure("a#20").message
