"""Requests to Flink's REST interface: what may pass, what is not Flink's, what is not printed."""

import contextlib
import http.server
import threading
from collections.abc import Iterator

import pytest

from pipeline.runners.flink.rest import Cluster, without_password
from pipeline.runners.waiting import NoAnswerError
from tests.stand_ins.flink_rest import JOB, FlinkRest


@contextlib.contextmanager
def answering(status: int, body: bytes, length: int | None = None) -> Iterator[str]:
    """A server with one answer; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.send_header("Location", "/again")
            self.end_headers()
            self.wfile.write(body)

        do_PATCH = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "length", "words"),
    [
        (200, b"<html>Log in</html>", None, "no JSON"),
        (200, b"", None, "no JSON"),
        (200, b'{"jobs": [', None, "no JSON"),
        (200, b'{"jobs": [', 99, "cut off"),
        (500, b'{"errors": ["x"]}', None, "500 Internal Server Error"),
        (503, b"Service Unavailable", None, "503 Service Unavailable"),
        (302, b"", None, "redirects"),
    ],
)
def test_answers_that_are_not_flinks_may_pass(
    status: int, body: bytes, length: int | None, words: str
) -> None:
    with (
        answering(status, body, length) as address,
        pytest.raises(NoAnswerError, match=f"^does not respond .*{words}") as raised,
    ):
        Cluster(address).get("overview")
    assert "html" not in str(raised.value)
    assert "Expecting value" not in str(raised.value)


def test_what_a_cluster_lacks_or_forbids_does_not_pass() -> None:
    for status, kind in ((404, FileNotFoundError), (403, PermissionError), (401, PermissionError)):
        with answering(status, b"") as address, pytest.raises(kind):
            Cluster(address).get("overview")


def test_a_job_is_cancelled_later_where_the_cluster_cannot_now() -> None:
    for status in (500, 503):
        with answering(status, b"") as address, pytest.raises(NoAnswerError, match=str(status)):
            Cluster(address).cancel(JOB)
    with answering(409, b"") as address, pytest.raises(OSError, match="409"):
        Cluster(address).cancel(JOB)


def test_a_password_is_sent_and_never_printed() -> None:
    with FlinkRest("RUNNING") as flink:
        cluster = Cluster(flink.url.replace("://", "://me:s3cret@"))
        assert cluster.get("config") == {"flink-version": "1.20.1"}
        assert (cluster.url, str(cluster)) == (flink.url, f"the Flink cluster {flink.url}")
    for address in (
        "http://me:s3cret@localhost:1",
        "me:s3cret@[::1",
        "http://me:s3cret@local host",
    ):
        with pytest.raises(NoAnswerError) as raised:
            Cluster(address).get("config")
        assert "s3cret" not in str(raised.value)
    assert without_password("me:p@ss@host:1/path@x") == "host:1/path@x"
    assert without_password("http://host:1") == "http://host:1"
