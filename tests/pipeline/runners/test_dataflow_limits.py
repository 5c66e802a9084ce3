"""The graphs of jobs with large settings, held to what Dataflow documents that it takes.

https://cloud.google.com/dataflow/docs/request-quotas, read in November 2026: a request of up to
20 MB of JSON, a graph of up to 10 MB. `test_dataflow_submission.py` looks at the request.
"""

from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.cli import main
from pipeline.errors import UsageError
from pipeline.runners import dataflow, runner
from tests.sounds import noise, write_wav

NUM_INPUTS = 100
NUM_COLUMNS = 200
NUM_LABELS = 20_000


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of the graph of each job that a command runs from now on."""
    found: list[int] = []
    run = runner.run

    def measured(options: object, build: object, **more: object) -> bool:
        def build_and_measure(pipeline: beam.Pipeline) -> None:
            build(pipeline)  # type: ignore[operator]
            found.append(pipeline.to_runner_api().ByteSize())
            dataflow.check_graph(pipeline)

        return run(options, build_and_measure, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "run", measured)
    return found


def _large_settings(folder: Path) -> list[str]:
    """Writes a corpus with everything that goes into a graph, and much of it."""
    inputs = [
        folder / f"recordings/of somebody/number {number:04}.wav" for number in range(NUM_INPUTS)
    ]
    inputs[0].parent.mkdir(parents=True)
    sound = noise(16_000)
    for path in inputs:
        write_wav(path, sound)
    random = np.random.default_rng(7)
    letters = np.array([*"abcdefghijklmnopqrstuvwxyz0123456789"])
    # Like mids and words, which compress, but no better than text does.
    labels = ["".join(random.choice(letters, 24)) for _ in range(NUM_LABELS)]
    rows = [f"{index},{label},{label}" for index, label in enumerate(labels)]
    (folder / "labels.csv").write_text("\n".join(["index,mid,display_name", *rows]) + "\n")
    columns = [f"column number {number} of the table" for number in range(NUM_COLUMNS)]
    table = [",".join(["file", "class", *columns]), ",".join([inputs[0].name, labels[5], *columns])]
    (folder / "clips.csv").write_text("\n".join(table) + "\n")
    return [
        *("--input", *map(str, inputs), "--manifest", str(folder / "clips.csv")),
        *("--columns", "uri={file}", "labels={class}", "id={file:stem}-a", "split=class"),
        *("--keep_columns", *columns, "--audio_root", str(inputs[0].parent)),
        *("--class_map", str(folder / "labels.csv"), "--max_failed_ratio=1", "--quiet"),
    ]


@pytest.mark.slow
def test_large_settings_take_a_fraction_of_what_dataflow_allows(
    tmp_path: Path, raw: list[str], sizes: list[int]
) -> None:
    arguments = [f"--output={tmp_path / 'out'}", *raw, *_large_settings(tmp_path)]
    assert main(["plan", *arguments]) == 0
    assert main(["embed", *arguments]) == 0
    survey, trial, whole = sizes
    assert max(survey, trial, whole) < dataflow.MAX_GRAPH_BYTES / 3, sizes


def test_a_graph_that_is_too_large_is_refused_before_anything_is_staged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | beam.Create([b"a"])
    dataflow.check_graph(pipeline)
    num_bytes = pipeline.to_runner_api().ByteSize()
    monkeypatch.setattr(dataflow, "MAX_GRAPH_BYTES", num_bytes - 1)
    with pytest.raises(
        UsageError, match=f"has {num_bytes:,} bytes, and Dataflow takes .*: it holds"
    ):
        dataflow.check_graph(pipeline)
