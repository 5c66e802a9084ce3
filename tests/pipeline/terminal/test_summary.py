"""The summary, and explanations of errors."""

import errno
from typing import Any

import pytest

from pipeline.errors import JobError, RunnerLostError
from pipeline.terminal import summary
from transforms.dataset.completeness import IncompleteError
from transforms.model.errors import ModelError

MODEL = {
    "uri": "/m",
    "trained": True,
    "in_batches": True,
    "batch_rows": 64,
    "rows_depend_on_position": False,
    "onednn": True,
    "engine": "tensorflow",
}


def _info(**changes: Any) -> dict[str, Any]:
    return {
        "name": "audio",
        "counts": {
            "clips": 10,
            "records": 8,
            "failures": 2,
            "repeats": 0,
            "merged_rows": 0,
            "notes": 0,
            "rows": 80,
            "hours": 0.025,
            "padded_clips": 0,
            "truncated_clips": 0,
            "rows_skipped": 0,
            "damaged_clips": 0,
            "damaged_seconds": 0.0,
            "labels_dropped": 0,
        },
        "failures": {"empty": 2},
        "skipped": {},
        "manifests": [],
        "model": MODEL,
        "audio": {"damaged": "fail"},
        "shards": [{"bytes": 100}],
        "run": {"seconds": 0.0, "steps": {}, "bounded_by": None},
        **changes,
    }


def test_the_summary_has_counts_reasons_hours_speed_and_paths() -> None:
    text = summary.summary(_info(), "/out", 4.0)
    for part in (
        "clips     10",
        "records   8  (80 rows, 0.025 h of audio)",
        "failures  2  (2 empty)",
        "20.0 rows/s over 4.0 s",
        "/out/audio-*.tfrecord  (1 shard, 100 bytes)",
        "/out/audio-failures.jsonl",
    ):
        assert part in text
    assert "UNTRAINED" not in text
    for part in ("split ", "manifest ", "NOTE", "padded", "truncated", "beyond", "damage", "notes"):
        assert part not in text


def test_the_summary_names_the_engine_and_its_proof() -> None:
    proof = {"largest_error": 5.47e-06, "num_probes": 35}
    native = MODEL | {"engine": "native", "engine_version": "1", "proof": proof}
    text = summary.summary(_info(model=native), "/out", 4.0)
    assert "engine    native 1, within 5e-06 of TensorFlow's rows on 35 probes" in text
    assert "engine    TensorFlow\n" in summary.summary(_info(), "/out", 4.0)
    assert "engine" not in summary.summary(_info(model=MODEL | {"engine": None}), "/out", 4.0)


def test_the_summary_has_the_time_of_each_step_and_the_bottleneck() -> None:
    steps = {
        "decoding": {"seconds": 31.26, "share": 0.04},
        "the model": {"seconds": 93.0, "share": 0.93},
    }
    run = {"seconds": 100.0, "steps": steps, "bounded_by": "the model"}
    text = summary.summary(_info(run=run), "/out", 110.0)
    for part in (
        "time      decoding 31.3 s, the model 93.0 s\n",
        "bound by  the model: busy 93% of 100.0 s, without the runner's start-up\n",
    ):
        assert part in text
    text = summary.summary(_info(run=run | {"bounded_by": "decoding"}), "/out", 110.0)
    assert "bound by  decoding: 4% of" in text


def test_clips_that_were_padded_or_ended_early_or_lost_rows_or_labels_are_counted() -> None:
    counts = _info()["counts"] | {
        "padded_clips": 1,
        "truncated_clips": 2,
        "rows_skipped": 3,
        "labels_dropped": 4,
    }
    text = summary.summary(_info(counts=counts, skipped={"hidden": 5, "other": 6}), "/out", 1.0)
    for part in (
        ", 0.025 h of audio, 1 clips padded to one row, 2 clips truncated by the end of their"
        " recording, 3 rows beyond --max_rows skipped)\n",
        "skipped   11 files of the folders  (5 hidden, 6 other)\n",
        "NOTE: 4 labels are not in the class map: dropped",
    ):
        assert part in text


def test_damaged_clips_are_counted_and_the_table_of_notes_is_named() -> None:
    counts = _info()["counts"] | {"damaged_clips": 3, "damaged_seconds": 1.25}
    kept = {"damaged": "keep"}
    text = summary.summary(_info(counts=counts, audio=kept), "/out", 1.0)
    assert "h of audio, 3 damaged clips, 1.250 s of damage)\n" in text
    assert "notes     /out/audio-notes.jsonl\n" in text
    whole = summary.summary(_info(audio=kept), "/out", 1.0)
    assert "audio-notes.jsonl" in whole
    assert "damaged" not in whole


def test_rows_of_one_clip_are_counted() -> None:
    counts = _info()["counts"] | {"repeats": 7, "merged_rows": 5, "notes": 2}
    text = summary.summary(_info(counts=counts), "/out", 1.0)
    assert "merged    5 rows with the clip of another row: it has the labels of all (--same" in text
    assert "repeated  2 rows or files that repeat another one word for word\n" in text
    assert "notes     /out/audio-notes.jsonl\n" in text
    plain = summary.summary(_info(), "/out", 1.0)
    assert not any(word in plain for word in ("merged", "repeated", "notes"))


def test_the_summary_has_each_split_and_its_path() -> None:
    splits = [
        {
            "folder": folder,
            "counts": {"records": records, "failures": failures},
            "shards": [{"bytes": 100}, {"bytes": 20}],
        }
        for folder, records, failures in (("test", 3, 2), ("train", 5, 0))
    ]
    info = _info(splits=splits)
    del info["shards"]
    text = summary.summary(info, "/o\udcff", 1.0)
    for part in (
        "split     test: 3 records, 2 failures\nsplit     train: 5 records, 0 failures\n",
        "dataset   /o\\xff/{test,train}/audio-*.tfrecord  (4 shards, 240 bytes)",
        "failed    /o\\xff/{test,train}/audio-failures.jsonl",
        "metadata  /o\\xff/dataset.json",
    ):
        assert part in text
    text = summary.summary(info | {"splits": splits[:1]}, "/out", 1.0)
    assert "dataset   /out/test/audio-*.tfrecord  (2 shards, 120 bytes)" in text


def test_the_summary_has_the_columns_that_were_read_and_those_that_were_not() -> None:
    manifest = {
        "uri": "/a.csv",
        "format": "csv",
        "encoding": "latin-1",
        "label_separator": ";",
        "columns": ["uri", "labels"],
        "other_columns": ["speaker", "note"],
        "num_rows": 7,
        "notes": ["9 nan are no label"],
    }
    plain = manifest | {"uri": "/b.csv", "label_separator": "", "other_columns": [], "notes": []}
    text = summary.summary(_info(manifests=[manifest, plain]), "/out", 1.0)
    assert (
        "manifest  /a.csv: 7 rows of csv, latin-1; read: uri labels; not read: speaker note;"
        " labels separated by ;; 9 nan are no label\n"
        "manifest  /b.csv: 7 rows of csv, latin-1; read: uri labels"
    ) in text
    assert text.endswith("read: uri labels")


def test_an_untrained_model_is_noted() -> None:
    model = MODEL | {"trained": False, "untrained_seed": 3, "in_batches": False}
    text = summary.summary(_info(model=model), "/out", 1.0)
    assert "the model /m is UNTRAINED (random weights, seed 3)" in text
    assert "patches go one by one" in text


def test_rows_in_bfloat16_are_noted_with_their_error() -> None:
    error = {"mean": 0.0123, "largest": 0.0987, "rows_compared": 512}
    model = MODEL | {"bfloat16_error": error}
    text = summary.summary(_info(model=model), "/out", 1.0)
    assert "bfloat16: their values are off float32 by 1.23% of the spread between rows" in text
    assert "9.9% at most (512 rows compared)" in text
    error["mean"] = error["largest"] = None  # type: ignore[assignment]
    assert "could not be measured" in summary.summary(_info(model=model), "/out", 1.0)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"rows_depend_on_position": True}, "on these CPUs rows depend on their place"),
        ({"batch_rows": [16, 64]}, "the workers' CPUs differ"),
        ({"onednn": [False, True]}, "the workers' CPUs differ"),
    ],
)
def test_rows_that_depend_on_the_batch_or_cpu_are_noted(how: dict[str, Any], why: str) -> None:
    text = summary.summary(_info(model=MODEL | how), "/out", 1.0)
    assert why in text
    assert "NOTE" not in summary.summary(_info(), "/out", 1.0)
    # A run in which no clip came as far as the model.
    unknown = dict.fromkeys(("batch_rows", "rows_depend_on_position", "onednn"))
    assert "NOTE" not in summary.summary(_info(model=MODEL | unknown), "/out", 1.0)


@pytest.mark.parametrize(("ratio", "status"), [(0.0, 3), (0.19, 3), (0.2, 0), (1.0, 0)])
def test_the_status_says_whether_too_many_clips_failed(ratio: float, status: int) -> None:
    assert summary.exit_status(_info(), ratio) == status


def test_a_corpus_without_clips_is_no_failure() -> None:
    counts = {"clips": 0, "failures": 0}
    assert summary.exit_status({"counts": counts}, 0.0) == 0


def _raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as raised:
        return raised


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ModelError("no model"), "no model"),
        (IncompleteError("3 clips were lost"), "3 clips were lost"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/out/x"),
            "[Errno 28] No space left on device: '/out/x'",
        ),
        # As runners pass them on: the text of a traceback, and the step.
        (
            RuntimeError(
                "Traceback (most recent call last):\n  File …\n"
                "transforms.model.errors.ModelError: no model [while running 'Embed/Run']\n"
            ),
            "no model (in the step Embed/Run)",
        ),
        (
            RuntimeError("OSError: [Errno 27] File too large [while running 'Write']"),
            "[Errno 27] File too large (in the step Write)",
        ),
    ],
)
def test_an_expected_error_is_explained_by_its_message(error: BaseException, text: str) -> None:
    assert summary.explanation(_raised(error)) == text


def test_a_bug_is_shown_with_its_traceback() -> None:
    text = summary.explanation(_raised(ZeroDivisionError("division by zero")))
    assert text.startswith("this is a bug")
    assert "Traceback" in text
    assert text.endswith("ZeroDivisionError: division by zero")


def test_the_runners_message_is_shown_and_a_bug_in_it_with_its_traceback() -> None:
    lost = RunnerLostError("the runner is gone: Stream removed")
    assert summary.explanation(_raised(lost)) == "the runner is gone: Stream removed"
    inside = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n'
    failed = JobError(f"bundle 7 failed: {inside}transforms.model.errors.ModelError: no model\n")
    assert summary.explanation(_raised(failed)) == "no model"
    bug = JobError(f"bundle 7 failed: {inside}ZeroDivisionError: division by zero\n")
    assert summary.explanation(_raised(bug)).startswith("this is a bug")
    assert "x.py" in summary.explanation(_raised(bug))
