"""EmbedPatches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.terminal import summary
from tests.archives import contents
from tests.memory_filesystem import MemoryFileSystem
from tests.running import outputs, totals
from tests.sounds import noise
from tests.stand_in import stand_in_rows
from transforms.corpus.runs import PatchRun
from transforms.embed_patches import MODEL, EmbedPatches, _PackedHandler
from transforms.metrics.reporting import REPORTS
from transforms.model.batching import PatchBatch
from transforms.model.handler import HubModelHandler


def _runs(num_clips: int, num_rows: int) -> list[PatchRun]:
    return [
        PatchRun(f"clip{index}", 2, noise(num_rows * 15_600, seed=index).reshape(num_rows, 15_600))
        for index in range(num_clips)
    ]


def _rows(found: list[Any]) -> dict[str, dict[int, np.ndarray]]:
    rows: dict[str, dict[int, np.ndarray]] = {}
    for clip_id, run in found:
        for offset, row in enumerate(run.rows):
            rows.setdefault(clip_id, {})[run.first_row + offset] = row
    return rows


def test_rows_of_packed_clips_go_back_to_their_clips(stand_in_model: str) -> None:
    runs = _runs(num_clips=40, num_rows=7)
    found, reports = outputs(EmbedPatches(stand_in_model), runs, "rows", REPORTS)
    # 280 rows: four full batches and the rest.
    assert list(totals(reports).of_kind(MODEL).values()) == [5]
    rows = _rows(found)
    assert len(rows) == 40
    for run in runs:
        for offset, patch in enumerate(run.patches):
            np.testing.assert_array_equal(
                rows[run.clip_id][run.first_row + offset], stand_in_rows(patch)[0]
            )


def test_a_clip_that_the_model_refuses_does_not_cost_its_batch(tf: Any, tmp_path: Path) -> None:
    class Picky(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def __call__(self, waveform: Any) -> Any:
            with tf.control_dependencies(
                [tf.debugging.assert_less(tf.abs(waveform), 2.0, "too loud")]
            ):
                rows = tf.signal.frame(waveform, 15_600, 15_360)[:, :4]
            return tf.where(rows == 1.5, np.nan, rows)

    tf.saved_model.save(Picky(), str(tmp_path / "model"))
    runs = _runs(num_clips=3, num_rows=2)
    loud = PatchRun("loud", 0, np.full((2, 15_600), 3.0, np.float32))
    unlucky = PatchRun("unlucky", 0, np.full((1, 15_600), 1.5, np.float32))
    (found,) = outputs(
        EmbedPatches(str(tmp_path / "model")), [runs[0], loud, runs[1], unlucky, runs[2]], "rows"
    )
    messages = {clip_id: each for clip_id, each in found if isinstance(each, str)}
    assert sorted(messages) == ["loud", "unlucky"]
    assert "too loud" in messages["loud"]
    assert "NaN" in messages["unlucky"]
    rows = _rows([each for each in found if each[0] not in messages])
    for run in runs:
        np.testing.assert_array_equal(rows[run.clip_id][2], run.patches[0, :4])
        np.testing.assert_array_equal(rows[run.clip_id][3], run.patches[1, :4])


def test_the_handler_gives_one_result_a_batch_and_weighs_it_without_pickling(
    stand_in_model: str,
) -> None:
    handler = _PackedHandler(HubModelHandler(stand_in_model))
    model = handler.load_model()
    patches = noise(2 * 15_600).reshape(2, 15_600)
    batch = PatchBatch(patches, (("a", 0, 1), ("b", 5, 1)))
    assert handler.run_inference([], model) == []
    (result,) = handler.run_inference([batch], model)
    assert [(clip, getattr(run, "first_row", None)) for clip, run in result.spans] == [
        ("a", 0),
        ("b", 5),
    ]
    assert handler.get_num_bytes([batch, batch]) == 4 * 15_600 * 4


def test_a_model_on_a_storage_is_loaded(
    stand_in_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, data in contents(Path(stand_in_model)).items():
        monkeypatch.setitem(MemoryFileSystem.objects, f"mem://bucket/model/{name}", data)
    facts = HubModelHandler("mem://bucket/model").load_model().facts
    assert facts == HubModelHandler(stand_in_model).load_model().facts


def test_why_a_model_does_not_load_reaches_the_user() -> None:
    with pytest.raises(Exception, match=r"mem://bucket/absent' holds no saved_model\.pb") as caught:
        outputs(EmbedPatches("mem://bucket/absent"), _runs(num_clips=1, num_rows=1), "rows")
    assert "holds no saved_model.pb" in summary.explanation(caught.value)
    assert "\n" not in summary.explanation(caught.value)
