"""Why a job failed, from the texts that Flink 1.19 with Beam's runner 2.70 has reported."""

import pytest

from pipeline.runners.causes import explanation, is_java, lost_task_manager

FRAMES = """
\tat org.apache.flink.runtime.operators.BatchTask.run(BatchTask.java:510)
\tat java.base/java.lang.Thread.run(Thread.java:840)
"""
_GRPC = "org.apache.beam.vendor.grpc.v1p69p0.io"
UNAVAILABLE = (
    "java.lang.Exception: The user defined 'open()' method caused an exception:"
    f" {_GRPC}.grpc.StatusRuntimeException: UNAVAILABLE: io exception{FRAMES}"
    f"Caused by: {_GRPC}.grpc.StatusRuntimeException: UNAVAILABLE: io exception\n"
    "\tat org.apache.beam.model.fnexecution.v1.BeamFnExternalWorkerPoolGrpc$"
    "BeamFnExternalWorkerPoolBlockingStub.startWorker(BeamFnExternalWorkerPoolGrpc.java:221)\n"
    "\t... 19 more\n"
    f"Caused by: {_GRPC}.netty.channel.AbstractChannel$AnnotatedConnectException:"
    " finishConnect(..) failed: Connection refused: workers/127.0.1.1:50999\n"
    f"Caused by: java.net.ConnectException: finishConnect(..) failed: Connection refused{FRAMES}"
)
BUFFERS = (
    f"java.lang.Exception: The user code failed{FRAMES}Caused by: java.io.IOException: Insufficient"
    " number of network buffers: required 512, but only 61 available. The total number of network"
    " buffers is currently set to 2048 of 32768 bytes each.\n"
)
SLOTS = (
    f"org.apache.flink.runtime.JobException: Recovery is suppressed{FRAMES}Caused by:"
    " org.apache.flink.runtime.jobmanager.scheduler.NoResourceAvailableException: Could not acquire"
    f" the minimum required resources.{FRAMES}"
)
NO_WORKER = (
    "java.lang.Exception: The user defined 'open()' method caused an exception:"
    f" java.lang.RuntimeException: No client connected within timeout{FRAMES}Caused by:"
    " java.util.concurrent.TimeoutException: Waited 3 minutes (plus 596903 nanoseconds delay) for"
    f" SettableFuture@36a210aa[status=PENDING]{FRAMES}"
)
NO_PROGRAM = (
    f"java.lang.Exception: The user defined 'open()' method caused an exception{FRAMES}Caused by:"
    ' java.io.IOException: Cannot run program "/opt/boot": error=2, No such file or'
    f" directory{FRAMES}Caused by: java.io.IOException: error=2, No such file or directory{FRAMES}"
)
DIED = f"java.lang.IllegalStateException: Process died with exit code 7{FRAMES}"
PYTHON = (
    "java.lang.RuntimeException: Error received from SDK harness for instruction 4: Traceback (most"
    ' recent call last):\n  File "handler.py", line 3, in load_model\ntransforms.model.errors.'
    "ModelError: no saved_model.pb in /model [while running 'EmbedAudio/EmbedPatches']\n"
    f"{FRAMES}Caused by: java.lang.RuntimeException: Error received{FRAMES}"
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (UNAVAILABLE, ["--environment_config=workers:5", "Connection refused: workers/127.0.1.1"]),
        (
            BUFFERS,
            ["required 512, but only 61", "taskmanager.network.sort-shuffle.min-parallelism: 1000"],
        ),
        (NO_WORKER, ["has not connected within 3 minutes", "shares the pool workers:5"]),
        (NO_PROGRAM, ["cannot run /opt/boot", "--environment_type"]),
        (DIED, ["exit status 7", "see the task manager's log"]),
        (SLOTS, ["no free slots", "slot.request.timeout", "--parallelism"]),
    ],
)
def test_known_causes_have_a_remedy_and_no_java(text: str, parts: list[str]) -> None:
    words = explanation(text, "workers:5")
    assert is_java(text)
    for part in parts:
        assert part in words
    assert "\n" not in words
    assert "org.apache" not in words


def test_the_short_cause_of_a_job_server_names_the_pool() -> None:
    text = "java.net.ConnectException: finishConnect(..) failed: Connection refused"
    assert explanation(text, "workers:5").endswith("task managers reach the worker pool workers:5")
    assert explanation(text) == text


def test_workers_in_the_launcher_have_no_pool() -> None:
    words = explanation(UNAVAILABLE)
    assert "cannot reach the workers in this process (Connection refused: workers/" in words
    assert "--environment_config=" not in words


def test_an_error_of_a_worker_is_given_without_java() -> None:
    words = explanation(PYTHON)
    assert words.startswith("Traceback (most recent call last):\n  File")
    assert words.endswith("[while running 'EmbedAudio/EmbedPatches']")


def test_of_other_traces_the_first_and_the_last_cause_are_given() -> None:
    text = (
        f"java.lang.Exception: the outer one{FRAMES}Caused by: java.lang.Error: between{FRAMES}"
        f"Caused by: org.apache.flink.util.FlinkException: the inner one{FRAMES}"
    )
    words = explanation(text)
    assert words == "Exception: the outer one; the first cause: FlinkException: the inner one"
    assert explanation(f"java.lang.Error: alone{FRAMES}") == "Error: alone"
    assert len(explanation(f"java.lang.Error: {'x' * 9_000}{FRAMES}")) < 500


def test_a_text_without_java_is_given_as_it_is() -> None:
    for text in ("", "bundle failed: rpc error", "two lines\nof Prism"):
        assert explanation(text) == text
        assert not is_java(text)


@pytest.mark.parametrize(
    "text",
    [
        "java.util.concurrent.TimeoutException: Heartbeat of TaskManager with id tm-2 timed out.",
        "RecipientUnreachableException: TaskManager with id tm-2 is no longer reachable.",
        "TaskManager with id tm-2(localhost:1) is no longer reachable.",
        "Connection unexpectedly closed by remote task manager 'localhost/127.0.0.1:3 [ tm-2 ] '.",
    ],
)
def test_a_lost_task_manager_is_named(text: str) -> None:
    assert lost_task_manager(text) == "tm-2"
    assert "the task manager tm-2 was lost" in explanation(f"{text}{FRAMES}")


def test_long_texts_lose_their_middle_and_none_takes_long() -> None:
    python = "Traceback (most recent call last):\n" + "x" * 10**6 + "\nValueError: the end"
    words = explanation(python)
    assert words.startswith("Traceback (most recent call last):\nxxx")
    assert words.endswith("xxx\nValueError: the end")
    assert len(words) < 9_000
    assert len(explanation("ü" * 10**6)) < 9_000
    for text in ("\n" * 10**6, "a." * 10**6, "at " + "x" * 10**6, "Caused by: " * 10**5):
        assert len(explanation(f"java.lang.Error: {text}{FRAMES}")) < 2_000


def test_a_task_manager_that_refuses_connections_is_lost() -> None:
    for name in ("'tm:1 [ tm-2 ] '", "'tm-2'"):
        text = f"Connecting to remote task manager {name} has failed. This might indicate that"
        assert lost_task_manager(text) == "tm-2"
