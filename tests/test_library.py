"""The public surface: what people import, and what it does inside a pipeline of their own."""

import doctest
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

import transforms
from tests import reading
from tests.running import embed
from tests.sounds import noise, write_wav
from transforms.metrics import live_counts
from transforms.metrics.reporting import NAMESPACE

NAMES = [
    "AudioError",
    "AudioNote",
    "ClassMap",
    "Clip",
    "CorpusOutputs",
    "EmbedAudio",
    "EmbedWaveforms",
    "EmbeddedClips",
    "EmbeddingModel",
    "Failure",
    "FramingConfig",
    "HubModelHandler",
    "ModelError",
    "ModelInputError",
    "PROFILES",
    "Profile",
    "ReadCorpus",
    "Splits",
    "WriteDataset",
    "embed_waveform",
    "load_model",
    "parse_splits",
    "read_class_map",
]


def test_these_names_are_public_and_no_others() -> None:
    assert sorted(transforms.__all__) == NAMES
    assert dir(transforms) == NAMES
    for name in NAMES:
        assert getattr(transforms, name).__doc__ or name == "PROFILES"
    with pytest.raises(AttributeError, match="has no attribute 'EmbedVideo'"):
        _ = transforms.EmbedVideo


@pytest.fixture
def local_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipelines without a runner run in this process; Beam's default would look for another one."""
    monkeypatch.setattr(StandardOptions, "DEFAULT_RUNNER", "FnApiRunner")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one recording of ten seconds."""
    write_wav(tmp_path / "birds/birds.wav", noise(10 * 16_000))
    return tmp_path / "birds"


EXAMPLES = [name for name in NAMES if ">>>" in getattr(transforms, name).__doc__]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_in_the_docstrings_work(
    name: str, folder: Path, stand_in_model: str, local_runner: None
) -> None:
    class_map = folder.parent / "classes.csv"
    class_map.write_text("index,mid,display_name\n0,/m/09x0r,Speech\n")
    example = doctest.DocTestParser().get_doctest(
        getattr(transforms, name).__doc__,
        {
            "FOLDER": str(folder),
            "MODEL": stand_in_model,
            "OUTPUT": f"{folder}/../set",
            "CLASS_MAP": str(class_map),
        },
        name,
        None,
        None,
    )
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    lines: list[str] = []
    runner.run(example, out=lines.append)
    assert not runner.failures, "".join(lines)


def test_every_public_name_has_an_example() -> None:
    # Errors have none, and what others give is in the examples of these.
    without = {"AudioError", "CorpusOutputs", "EmbeddedClips", "ModelError", "ModelInputError"}
    assert set(NAMES) - set(EXAMPLES) == {*without, "PROFILES"}


PIPELINE = "RUNNER = 'mine'\n"
SCRIPT = """
    import sys
    import transforms
    assert not {"apache_beam", "tensorflow", "numpy"} & set(sys.modules), "importing costs nothing"

    import apache_beam as beam
    import pipeline
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from transforms import EmbedAudio

    assert pipeline.RUNNER == "mine"
    if __name__ == "__main__":
        with beam.Pipeline(runner=FnApiRunner()) as p:
            embedded = p | beam.Create([sys.argv[1]]) | EmbedAudio(model=sys.argv[2])
            embedded.rows | beam.MapTuple(lambda path, rows: print(rows.shape))
"""


@pytest.mark.slow
def test_a_users_own_pipeline_module_is_not_in_the_way(
    folder: Path, stand_in_model: str, tmp_path: Path
) -> None:
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    finished = subprocess.run(
        [sys.executable, "script.py", f"{folder}/birds.wav", stand_in_model],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "(10, 128)\n"


def _run_example(*arguments: str | Path) -> list[str]:
    finished = subprocess.run(
        [sys.executable, "examples/my_pipeline.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


@pytest.mark.slow
def test_the_example_finds_recordings_that_are_alike(stand_in_model: str, tmp_path: Path) -> None:
    for name, seed in {"a": 1, "b": 2, "like_a": 1}.items():
        write_wav(tmp_path / f"in/{name}.wav", noise(48_000, seed))
    (tmp_path / "in/broken.wav").write_bytes(b"no sound")
    lines = _run_example(tmp_path / "in", stand_in_model)
    folder = f"{tmp_path}/in"
    assert f"{folder}/a.wav ~ {folder}/like_a.wav" in lines
    assert f"{folder}/like_a.wav ~ {folder}/a.wav" in lines
    assert [line for line in lines if line.startswith(f"{folder}/broken.wav failed: ")]
    assert len(lines) == 4


@pytest.mark.slow
def test_the_example_needs_neither_a_folder_nor_a_hub() -> None:
    lines = _run_example()
    assert len([line for line in lines if " ~ " in line]) == 4


def _counters(result: Any) -> dict[str, int]:
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    counters: dict[str, int] = {}
    for counter in found:
        name = counter.key.metric.name
        counters[name] = counters.get(name, 0) + counter.committed
    return counters


@pytest.fixture
def mixed_folder(tmp_path: Path) -> Path:
    """Recordings of several rates and lengths, one that is none, and a file of another kind."""
    folder = tmp_path / "mixed"
    write_wav(folder / "a.wav", noise(48_000, seed=1))
    write_wav(folder / "b/stereo.wav", noise(2 * 100_000, seed=2).reshape(-1, 2), 44_100)
    write_wav(folder / "b/short.wav", noise(5_000, seed=3), 22_050)
    write_wav(folder / "long.wav", noise(129 * 15_360 + 240, seed=4))
    (folder / "bad.wav").write_bytes(b"no sound" * 100)
    (folder / "notes.txt").touch()
    return folder


@pytest.mark.parametrize(
    "model", ["stand_in_model", pytest.param("vggish_model", marks=pytest.mark.slow)]
)
def test_a_job_of_ones_own_gives_the_rows_of_the_command_bit_for_bit(
    model: str, mixed_folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(model)
    arguments = ["--profile=raw", "--max_failed_ratio=1"]
    assert embed(tmp_path / "out", f"--input={mixed_folder}", f"--model={model}", *arguments) == 0

    found: dict[str, np.ndarray] = {}
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        corpus = pipeline | transforms.ReadCorpus(inputs=[str(mixed_folder)])
        embedded = corpus.clips | transforms.EmbedAudio(model=model)
        _ = embedded.rows | beam.Map(_keep, _kept(found))

    expected = reading.float_rows(tmp_path / "out")
    assert sorted(found) == sorted(expected) == ["a.wav", "b/short.wav", "b/stereo.wav", "long.wav"]
    for clip_id, rows in expected.items():
        assert found[clip_id].dtype == np.float32
        np.testing.assert_array_equal(found[clip_id], rows, err_msg=clip_id)


def test_a_dataset_of_the_library_has_the_bytes_of_the_commands(
    stand_in_model: str, mixed_folder: Path, tmp_path: Path, pca_file: str
) -> None:
    import json

    arguments = [f"--input={mixed_folder}", f"--model={stand_in_model}", f"--pca={pca_file}"]
    assert embed(tmp_path / "command", *arguments, "--max_failed_ratio=1") == 0
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        corpus = pipeline | transforms.ReadCorpus(inputs=[str(mixed_folder)])
        embedded = corpus.clips | transforms.EmbedAudio(model=stand_in_model)
        _ = embedded | transforms.WriteDataset(str(tmp_path / "library"), pca=pca_file)
        rows = embedded.rows | beam.Map(_num_rows)
        _ = rows | beam.CombineGlobally(sum) | beam.Map(_check_equal, 3 + 2 + 1 + 129)
    names = sorted(os.listdir(tmp_path / "command"))
    assert sorted(os.listdir(tmp_path / "library")) == names
    for name in names:
        data = [(tmp_path / kind / name).read_bytes() for kind in ("command", "library")]
        if name == "dataset.json":
            infos = list(map(json.loads, data))
            for info in infos:
                info.pop("run")
            assert infos[0] == infos[1]
            assert infos[0]["counts"]["clips"] == 5
            assert infos[0]["failures"] == {"unsupported_format": 1}
            assert infos[0]["skipped"] == {"other": 1}
        else:
            assert data[0] == data[1], name


def test_the_composites_make_beam_warn_of_nothing(
    stand_in_model: str, tmp_path: Path, pca_file: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        pipeline = beam.Pipeline(runner=FnApiRunner())
        corpus = pipeline | transforms.ReadCorpus(
            inputs=["/in"],
            manifests=["/m.csv"],
            audioset_segments=["/s.csv"],
            audio_root="/audio",
        )
        embedded = corpus.clips | transforms.EmbedAudio(model=stand_in_model)
        assert embedded.rows is embedded.rows
        assert embedded.failures is embedded.failures
        _ = embedded | transforms.WriteDataset(f"{tmp_path}/out", pca=pca_file)
        waveforms = pipeline | beam.Create([("silence", np.zeros(48_000, np.float32), 16_000)])
        again = waveforms | transforms.EmbedWaveforms(model=stand_in_model)
        assert again.rows is not embedded.rows
        for number in "12":
            twice = waveforms | number >> transforms.EmbedWaveforms(model=stand_in_model)
            _ = twice.rows
    assert [record.getMessage() for record in caplog.records] == []


def test_beams_metrics_count_what_the_job_does(
    stand_in_model: str, mixed_folder: Path, tmp_path: Path
) -> None:
    live_counts.reset()
    pipeline = beam.Pipeline(runner=FnApiRunner())
    corpus = pipeline | transforms.ReadCorpus(inputs=[str(mixed_folder), f"{tmp_path}/absent.wav"])
    embedded = corpus.clips | transforms.EmbedAudio(model=stand_in_model)
    _ = embedded | transforms.WriteDataset(f"{tmp_path}/out", profile="raw")
    _ = embedded.failures
    result = pipeline.run()
    result.wait_until_finish()
    counters = _counters(result)
    # In milliseconds: 3 s, 100,000 frames at 44.1 kHz, 5,000 at 22.05 kHz, and 129 rows.
    audio = 3_000 + 2_267 + 226 + 123_855
    assert counters.pop("audio_milliseconds") == pytest.approx(audio, abs=4)
    assert counters.pop("model_milliseconds") >= 0
    assert counters.pop("batches") >= 3
    # The same numbers, which the bar shows while a job runs in this process.
    live = live_counts.total()
    assert {name: live[name] for name in counters if name in live} == {
        name: number for name, number in counters.items() if name in live
    }
    assert counters == {
        "assembled": 5,
        "clips": 6,
        "decode_tasks": 5,
        "decode_tasks_done": 5,
        "done": 6,
        "failures": 2,
        "failures_not_found": 1,
        "failures_unsupported_format": 1,
        "found": 6,
        "patches": 3 + 2 + 1 + 129,
        "records": 4,
        "rows": 3 + 2 + 1 + 129,
        "shards": 1,
        "skipped_other": 1,
    }


def test_a_job_that_only_writes_a_dataset_shuffles_its_rows_once(
    stand_in_model: str, tmp_path: Path, pca_file: str
) -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    corpus = pipeline | transforms.ReadCorpus(inputs=["/in"])
    embedded = corpus.clips | transforms.EmbedAudio(model=stand_in_model)
    _ = embedded | transforms.WriteDataset(f"{tmp_path}/out", pca=pca_file)
    labels = list(_labels(pipeline))
    assert not [label for label in labels if "JoinRows" in label]
    joins = [label for label in labels if label.endswith("GroupResults/GroupByKey")]
    assert joins == ["WriteDataset/AssembleClips/GroupResults/GroupByKey"]
    between = [label for label in labels if "EmbedAudio/DecodePatches" in label]
    between += [label for label in labels if "EmbedAudio/EmbedPatches" in label]
    assert not [label for label in between if "GroupByKey" in label or "Reshuffle" in label]


def _labels(pipeline: beam.Pipeline) -> Iterator[str]:
    labels: list[str] = []

    class Visitor(beam.pipeline.PipelineVisitor):
        def enter_composite_transform(self, node: Any) -> None:
            labels.append(node.full_label)

        def visit_transform(self, node: Any) -> None:
            labels.append(node.full_label)

    pipeline.visit(Visitor())
    yield from labels


_KEPT: dict[int, dict[str, np.ndarray]] = {}


def _kept(found: dict[str, np.ndarray]) -> int:
    _KEPT[id(found)] = found
    return id(found)


def _keep(item: tuple[str, np.ndarray], number: int) -> None:
    _KEPT[number].update([item])


def _num_rows(item: tuple[str, np.ndarray]) -> int:
    return len(item[1])


def _check_equal(found: int, expected: int) -> None:
    assert found == expected
