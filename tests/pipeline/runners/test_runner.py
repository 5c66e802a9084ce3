"""Checks of runners, and the local one."""

import signal
import socket
import threading
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.worker import data_plane

from pipeline.errors import UsageError
from pipeline.runners import local, runner
from pipeline.runners.options import beam_options
from tests.stand_ins.portable import free_port


def test_the_default_runner_is_the_one_in_this_process() -> None:
    assert type(local.runner(beam_options([]))).__name__ == "FnApiRunner"


@pytest.mark.parametrize("flags", [[], ["--runner=PrismRunner"]])
def test_a_job_in_this_process_has_to_be_waited_for(flags: list[str]) -> None:
    with pytest.raises(UsageError, match="--no_wait: the job runs in this process"):
        runner.check(beam_options(flags), wait=False)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--runner=DataflowRunner"], "Missing required option: project"),
        (
            ["--runner=FlinkRunner", "--environment_type=EXTERNAL"],
            "external_service_address is required",
        ),
    ],
)
def test_options_that_a_runner_lacks_are_named(flags: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=f"{flags[0]}: .*{message}"):
        runner.check(beam_options(flags))


def test_a_flink_cluster_that_does_not_respond_is_refused_at_once() -> None:
    with socket.create_server(("localhost", 0)) as mute:
        port = mute.getsockname()[1]
        for master in (f"localhost:{free_port()}", f"http://localhost:{port}"):
            options = beam_options(["--runner=FlinkRunner", f"--flink_master={master}"])
            with pytest.raises(UsageError, match=f"--flink_master={master}: no Flink responds"):
                runner.check(options)


def test_neither_an_absent_jar_nor_a_password_gets_far() -> None:
    flink = ["--runner=FlinkRunner", "--flink_submit_uber_jar"]
    master = f"http://me:s3cret@localhost:{free_port()}"
    with pytest.raises(UsageError, match=r"--flink_master=http://localhost:.* no Flink") as raised:
        runner.check(beam_options([*flink, f"--flink_master={master}"]))
    assert "s3cret" not in str(raised.value)
    absent = ["--flink_job_server_jar=/absent.jar", f"--flink_master={master}"]
    with pytest.raises(UsageError, match=r"^--flink_job_server_jar=/absent\.jar is no file"):
        runner.check(beam_options([*flink, *absent]))


def test_data_is_flushed_between_elements_and_not_by_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Beam's stream with a clock cuts elements into halves, which are read as garbage.
    with_clock: Any = data_plane.TimeBasedBufferingClosableOutputStream
    made: list[object] = []

    class Noted(with_clock):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            made.append(self)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(data_plane, "TimeBasedBufferingClosableOutputStream", Noted)

    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create([1, 2]) | beam.Reshuffle() | beam.Map(str)

    runner.run(beam_options([]), build)
    assert not made


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="the system has no such signals")
def test_ctrl_c_is_handled_when_another_thread_receives_it() -> None:
    class Endless:
        def run(self) -> "Endless":
            return self

        def wait_until_finish(self) -> None:
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            ended.wait(600)
            returned.append(True)

    ended = threading.Event()
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    returned: list[bool] = []
    try:
        with pytest.raises(KeyboardInterrupt):
            local.run(Endless())  # type: ignore[arg-type]
        assert not returned, "it was not waited for"
    finally:
        signal.signal(signal.SIGINT, previous)
        ended.set()
