"""Faults of Beam, TensorFlow and decoders that docs/upstream-faults.md names: each is still there.

A test that fails here is good news: the installed version has mended the fault, and its workaround
can go, with its section on that page and its test. So they are among the slow tests, which CI runs:
who installs a newer version should not see its tests fail for that.
"""

import importlib.util
import inspect
import os
import pickle
import queue
import re
from pathlib import Path
from typing import Any

import apache_beam as beam
import av
import numpy as np
import pytest
import soundfile
from apache_beam.coders import StrUtf8Coder
from apache_beam.io import fileio
from apache_beam.io.filesystem import BeamIOError, FileSystem
from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import ModelHandler
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.direct import direct_runner
from apache_beam.runners.portability import flink_uber_jar_job_server, local_job_service
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.worker import data_plane

pytestmark = pytest.mark.slow


def _source(package: str, file: str = "__init__.py") -> str:
    """Returns the text of a module, without importing what is slow to import."""
    specification = importlib.util.find_spec(package)
    assert specification is not None
    assert specification.origin is not None
    return (Path(specification.origin).parent / file).read_text()


def test_the_direct_runner_may_be_prism() -> None:
    assert "PrismRunner()" in inspect.getsource(direct_runner.SwitchingDirectRunner)


def test_what_a_thread_writes_is_flushed_by_a_clock() -> None:
    assert "DATA_BUFFER_TIME_LIMIT_MS = 1000" in inspect.getsource(worker_handlers)
    flushed: queue.Queue[bytes] = queue.Queue()
    stream = data_plane.TimeBasedBufferingClosableOutputStream(
        flush_callback=flushed.put, time_flush_threshold_ms=1
    )
    stream.write(b"half of an element")
    # The clock may strike before the first byte, too.
    assert next(filter(None, iter(lambda: flushed.get(timeout=600), None))) == b"half of an element"
    stream.close()


def test_worker_processes_do_not_get_the_pipeline_options() -> None:
    assert not FnApiRunner()._provision_info.provision_info.pipeline_options.fields


def test_nobody_looks_after_a_worker_process_that_has_ended() -> None:
    assert "Worker subprocess exited" in inspect.getsource(local_job_service.SubprocessSdkWorker)


@pytest.fixture
def flink_job(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A failed job of Flink 2, whose answers are as its REST interface gives them."""
    job: Any = object.__new__(flink_uber_jar_job_server.FlinkBeamJob)
    job._flink_job_id, job._jar_uploaded, job.paths = "7", False, []

    def answer(_: Any, path: str, **__: Any) -> dict[str, Any]:
        job.paths.append(path)
        return {"exceptionHistory": {"entries": [{"stacktrace": "why", "timestamp": 1}]}}

    monkeypatch.setattr(job, "request", answer)
    failed = beam_job_api_pb2.JobState.FAILED
    monkeypatch.setattr(job, "get_state_stream", lambda: iter([(failed, None)]))
    return job


def test_a_flink_job_is_cancelled_where_flink_has_nothing(flink_job: Any) -> None:
    flink_job.cancel()
    assert flink_job.paths == ["v1/7/stop"]


def test_why_a_job_of_flink_2_failed_is_not_found(flink_job: Any) -> None:
    with pytest.raises(KeyError, match="all-exceptions"):
        list(flink_job.get_message_stream())


def test_files_that_could_not_be_renamed_are_lost_without_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(*_: Any) -> None:
        raise BeamIOError("the disk is full")

    monkeypatch.setattr(FileSystems, "rename", rename)
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = pipeline | beam.Create(["a line"]) | fileio.WriteToFiles(str(tmp_path / "out"))
    assert not [path for path in (tmp_path / "out").glob("*") if path.is_file()]


def test_a_path_with_glob_characters_matches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a [live].wav"
    path.touch()
    assert FileSystems.match([str(path)])[0].metadata_list == []


def test_two_stars_want_a_folder() -> None:
    assert not re.match(FileSystem.translate_pattern("/in/**/*.wav"), "/in/a.wav")


def test_a_quoted_bracket_makes_python_warn() -> None:
    with pytest.warns(FutureWarning, match="nested set"):
        re.compile(FileSystem.translate_pattern("[[]a"))


def test_a_name_that_is_not_utf_8_cannot_be_text() -> None:
    with pytest.raises(UnicodeEncodeError):
        StrUtf8Coder().encode("\udcff.wav")


def test_a_remote_file_is_read_16_mib_at_a_time() -> None:
    assert "DEFAULT_READ_BUFFER_SIZE = 16 * 1024 * 1024" in _source(
        "apache_beam", "io/gcp/gcsio.py"
    )


def test_a_misspelt_flag_is_dropped() -> None:
    assert "direct_num_worker" not in PipelineOptions(["--direct_num_worker=3"]).get_all_options()


def test_batches_are_pickled_to_learn_their_size() -> None:
    class Handler(ModelHandler[bytes, bytes, object]):
        """The least that a handler is."""

    batch = [b"patch"]
    assert Handler().get_num_bytes(batch) == len(pickle.dumps(batch))


def test_keras_does_not_load_saved_models(tf: Any, tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ValueError, match="legacy SavedModel format is not supported"):
        tf.keras.models.load_model(tmp_path)


def test_a_vectorised_convolution_refuses_an_empty_batch(tf: Any) -> None:
    kernel, biases = tf.zeros([3, 3, 1, 4]), tf.zeros([4])

    def layer(patch: Any) -> Any:
        image = tf.reshape(patch, [-1, 8, 8, 1])
        return tf.nn.bias_add(tf.nn.conv2d(image, kernel, 1, "SAME"), biases)[0]

    call = tf.function(
        lambda patches: tf.vectorized_map(layer, patches),
        input_signature=[tf.TensorSpec([None, 64], tf.float32)],
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many biases"):
        call(tf.zeros([0, 64]))


def test_tensorflow_hub_imports_pkg_resources() -> None:
    assert "from pkg_resources import parse_version" in _source("tensorflow_hub")


def test_a_lock_of_tensorflow_hub_outlives_its_process_by_minutes() -> None:
    source = _source("tensorflow_hub", "compressed_module_resolver.py")
    assert "LOCK_FILE_TIMEOUT_SEC = 10 * 60" in source


def test_a_frame_of_eight_channels_has_more_planes() -> None:
    assert len(av.AudioFrame("fltp", "7.1", 1_024).planes) > 8


def test_a_file_without_a_name_has_the_resource_fork_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sound = np.zeros(1_000)
    soundfile.write("sound.sd2", sound, 8_000, format="SD2", subtype="PCM_16")
    Path("._sound.sd2").rename("._")
    Path("bytes.bin").write_bytes(b"zzzz" + bytes(5_000))
    with soundfile.SoundFile(os.open("bytes.bin", os.O_RDONLY)) as opened:
        assert opened.format == "SD2"
