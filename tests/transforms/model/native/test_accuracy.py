"""The native engine's rows beside a reference in float64."""

import json
from pathlib import Path

import numpy as np

from tests import native_engine, vggish_reference
from transforms.model.native.vggish import NativeVggish


def test_rows_of_each_kind_of_signal_are_as_near_as_float32_allows(trial: Path) -> None:
    patches = vggish_reference.signals(8, seed=5)
    log_mel = vggish_reference.log_mel(patches)
    variables = native_engine.trial_variables()
    expected = vggish_reference.network(log_mel, variables)[:, : native_engine.DENORMALS.start]
    spread = expected.std(axis=1, keepdims=True)
    model = NativeVggish.open(trial, "trial")
    np.testing.assert_allclose(model.log_mel(patches), log_mel, rtol=0, atol=5e-7)
    errors = np.abs(model.embed(patches)[:, : expected.shape[1]] - expected) / spread
    for kind, error in zip(vggish_reference.KINDS, errors, strict=True):
        assert error.max() < 1e-5, kind  # measured: 3.4e-6
        assert error.mean() < 2e-6, kind  # measured: 7e-7


def test_log_mel_of_the_smoke_test_equals_the_original(trial: Path, shared: Path) -> None:
    golden = json.loads((shared / "data/vggish/smoke_test_golden.json").read_text())
    sine = np.sin(2 * np.pi * 1000 * np.arange(0, 3, 1 / 16000)).astype(np.float32)
    patches = np.stack([sine[start : start + 15_600] for start in (0, 15_360, 30_720)])
    for patch in NativeVggish.open(trial, "trial").log_mel(patches):
        np.testing.assert_allclose(patch.ravel()[:3], golden["log_mel_row_first3"], atol=1e-4)
        np.testing.assert_allclose(patch.ravel()[-3:], golden["log_mel_row_last3"], atol=1e-4)


def test_log_mel_of_silence_is_the_log_of_the_offset(trial: Path) -> None:
    log_mel = NativeVggish.open(trial, "trial").log_mel(np.zeros((1, 15_600), np.float32))
    assert set(log_mel.ravel()) == {np.float32(np.log(0.01))}
