"""DecodePatches."""

from pathlib import Path

import numpy as np
from transforms.audio.clip_patches import Cutting

from tests.running import outputs
from tests.sounds import noise, write_wav
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.rows import Decoded
from transforms.decode_patches import VERDICTS, DecodePatches


def test_every_clip_gets_one_verdict_and_the_patches_that_it_promises(tmp_path: Path) -> None:
    waveform = write_wav(tmp_path / "good.wav", noise(50_000))
    write_wav(tmp_path / "short.wav", noise(100))
    cut = (tmp_path / "good.wav").read_bytes()[:80_000]
    (tmp_path / "cut.wav").write_bytes(cut)
    names = ("good.wav", "short.wav", "cut.wav", "absent.wav")
    clips = [Clip(name, f"{tmp_path}/{name}") for name in names]
    runs, verdicts = outputs(DecodePatches(Cutting(15_600, 15_360)), clips, "patches", VERDICTS)
    by_id = dict(verdicts)
    assert len(verdicts) == len(by_id) == 4
    assert by_id["good.wav"] == Decoded(3, 50_000, 3.125)
    assert by_id["short.wav"] == Decoded(1, 100, 0.00625, padded=True)
    for name, reason in (("cut.wav", "decode_error"), ("absent.wav", "not_found")):
        failure = by_id[name]
        assert isinstance(failure, Failure)
        assert (failure.step, failure.reason) == ("decode", reason)
    good = [run for run in runs if run.clip_id == "good.wav"]
    assert [run.first_row for run in good] == [0]
    expected = np.lib.stride_tricks.sliding_window_view(waveform, 15_600)[::15_360]
    np.testing.assert_array_equal(np.concatenate([run.patches for run in good]), expected)
