"""From a hub that fails to a model."""

import dataclasses
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.archives import FILES, archive_bytes, contents, make_tar
from tests.stand_ins import web_server
from tests.stand_ins.web_server import Request, WebServer
from transforms.model.errors import ModelError
from transforms.model.sources import caching, fetching, resolving
from transforms.model.sources.pca import load_pca
from transforms.storage import retries

pytestmark = pytest.mark.usefixtures("cache")
ROOT = Path(__file__).resolve().parents[4]
ARCHIVE = archive_bytes(FILES)
POLICY = retries.DOWNLOAD_RETRY
Answer = Callable[[Request], None]


class Hub(WebServer):
    """A hub that gives one answer after the other, the last one again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answer] = [send()]
        self.requests: list[str] = []

    def answer(self, request: Request) -> None:
        self.requests.append(request.path)
        request.close_connection = True
        (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(request)


def send(
    status: int = 200, body: bytes = ARCHIVE, sent: int | None = None, **headers: str
) -> Answer:
    """An answer, of whose body only the bytes up to `sent` arrive."""
    headers = {"Content_Length": str(len(body)), "Connection": "close", **headers}
    return lambda request: request.reply(status, body[:sent], **headers)


def hang_up(request: Request) -> None:
    pass


def stall(request: Request) -> None:
    send(sent=10)(request)
    time.sleep(3)


def trickle(request: Request) -> None:
    send(sent=10)(request)
    for _ in range(16):
        request.wfile.write(b".")
        time.sleep(0.2)


def in_chunks(request: Request) -> None:
    chunks = [ARCHIVE[start : start + 50] for start in range(0, len(ARCHIVE), 50)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    request.reply(200, body, Content_Length="", Transfer_Encoding="chunked")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(retries, "_FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with web_server.running(Hub()) as server:
        yield server


def test_a_model_comes_from_a_hub_and_is_kept(hub: Hub) -> None:
    folder = resolving.resolve(f"{hub.url}/google/vggish/1")
    assert contents(folder) == FILES
    assert resolving.resolve(f"{hub.url}/google/vggish/1") == folder
    assert hub.requests == ["/google/vggish/1?tf-hub-format=compressed"]


@pytest.mark.parametrize(
    ("url", "request_url"),
    [
        ("http://hub/vggish/1", "http://hub/vggish/1?tf-hub-format=compressed"),
        ("http://hub/vggish/1?a=b#c", "http://hub/vggish/1?a=b&tf-hub-format=compressed"),
        ("http://hub/v?tf-hub-format=compressed", "http://hub/v?tf-hub-format=compressed"),
        ("http://store/vggish.tar.gz?signature=x%2F", "http://store/vggish.tar.gz?signature=x%2F"),
    ],
)
def test_a_hub_is_asked_for_an_archive(url: str, request_url: str) -> None:
    assert fetching.archive_url(url) == request_url


@pytest.mark.parametrize(
    "fault",
    [
        send(503),
        send(429, Retry_After="0"),
        hang_up,
        send(sent=100),
        stall,
        trickle,
    ],
    ids=["overloaded", "too many", "reset", "cut", "stall", "trickle"],
)
def test_a_transient_fault_costs_a_second_try(
    hub: Hub, fault: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "DOWNLOAD_RETRY", dataclasses.replace(POLICY, read_seconds=1.5))
    hub.answers = [fault, send()]
    assert contents(resolving.resolve(f"{hub.url}/model")) == FILES
    assert len(hub.requests) == 2


@pytest.mark.parametrize(
    ("fault", "why"),
    [(send(503), "503"), (hang_up, "closed connection"), (send(sent=100), "the answer is cut off")],
)
def test_a_lasting_fault_is_an_error_after_some_tries(
    hub: Hub, fault: Answer, why: str, cache: Path
) -> None:
    hub.answers = [fault]
    with pytest.raises(ModelError, match=rf"cannot fetch {hub.url}/model: .*({why}).*--model"):
        resolving.resolve(f"{hub.url}/model")
    assert len(hub.requests) == POLICY.max_tries
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_an_error_at_once(hub: Hub, status: int) -> None:
    hub.answers = [send(status)]
    with pytest.raises(ModelError, match=rf"cannot fetch {hub.url}/model: {status} .*--model"):
        resolving.resolve(f"{hub.url}/model")
    assert len(hub.requests) == 1


def test_a_hub_that_is_not_there_is_an_error_in_one_line(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = r"9/model: 127.0.0.1:9 does not answer: Connection refused \(6 tries in \d+ s\)\. Do"
    with pytest.raises(ModelError, match=words):
        resolving.resolve("http://127.0.0.1:9/model")


def test_an_unknown_host_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def unknown(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ModelError, match=r"cannot fetch http://hub\.invalid/m: .*Name or service"):
        resolving.resolve("http://hub.invalid/m")
    assert len(asked) == 1


def test_the_pca_is_fetched_as_persistently(hub: Hub, pca_file: str) -> None:
    hub.answers = [send(503), hang_up, send(body=Path(pca_file).read_bytes())]
    assert load_pca(f"{hub.url}/pca.npz?a=b").sha256 == load_pca(pca_file).sha256
    assert hub.requests == ["/pca.npz?a=b"] * 3
    hub.answers = [send(404)]
    with pytest.raises(ModelError, match=r"404.*--pca.*--profile raw"):
        load_pca(f"{hub.url}/pca.npz")


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b""])
def test_an_answer_that_is_no_archive_is_an_error_and_not_kept(hub: Hub, body: bytes) -> None:
    hub.answers = [send(body=body), send()]
    with pytest.raises(ModelError, match=r"/model: it (begins with b'<html>sign|is empty)"):
        resolving.resolve(f"{hub.url}/model")
    assert contents(resolving.resolve(f"{hub.url}/model")) == FILES


def test_redirects_and_bodies_in_chunks_are_followed(hub: Hub) -> None:
    hub.answers = [send(302, b"", Location="/elsewhere"), in_chunks]
    assert contents(resolving.resolve(f"{hub.url}/model")) == FILES
    assert hub.requests[1] == "/elsewhere"


def test_a_plain_tar_is_taken(hub: Hub, tmp_path: Path) -> None:
    hub.answers = [send(body=make_tar(tmp_path / "m.tar", FILES, compression="").read_bytes())]
    assert contents(resolving.resolve(f"{hub.url}/model")) == FILES


def test_the_proxy_of_the_environment_is_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, hub.url)
    assert contents(resolving.resolve("http://hub.invalid/model.tgz")) == FILES
    assert hub.requests == ["http://hub.invalid/model.tgz"]


def test_a_body_without_end_is_given_up(hub: Hub) -> None:
    with pytest.raises(ModelError, match="more than 100 bytes"):
        resolving.resolve(f"{hub.url}/model", max_bytes=100)


def test_a_disk_without_room_is_an_error_that_names_folder_and_size(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    hub.answers = [send(body=b"", Content_Length=str(10**12))]
    usage = shutil.disk_usage(cache.parents[1].parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**9))
    with pytest.raises(
        ModelError, match=rf"model.* needs 10{{12}} bytes in {cache}.*, where 10{{9}} are free"
    ):
        resolving.resolve(f"{hub.url}/model")


def _resolver(url: str) -> "subprocess.Popen[str]":
    code = f"from transforms.model.sources import resolving; print(resolving.resolve({url!r}))"
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _make_nothing(scratch: Path) -> Path:
    (scratch / "nothing").mkdir()
    return scratch / "nothing"


def _wait_for_request(hub: Hub) -> None:
    deadline = time.monotonic() + 300
    while not hub.requests:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_a_killed_process_left_neither_blocks_nor_stays(hub: Hub, cache: Path) -> None:
    killed = threading.Event()

    def half(request: Request) -> None:
        send(sent=50)(request)
        killed.wait(300)

    hub.answers = [half, send()]
    with _resolver(f"{hub.url}/model") as process:
        _wait_for_request(hub)
        (scratch,) = cache.glob("*.tmp")
        process.kill()
    killed.set()
    (cache / "other.tmp").mkdir()  # of a process that was killed before
    folder = resolving.resolve(f"{hub.url}/model")
    assert contents(folder) == FILES
    assert folder.with_suffix(".tmp") == scratch
    assert [path for path in cache.iterdir() if path.suffix != ".lock"] == [folder]


def test_processes_fetch_a_model_once_and_leave_others_alone(hub: Hub, cache: Path) -> None:
    both = threading.Event()

    def slowly(request: Request) -> None:
        both.wait(300)
        send()(request)

    hub.answers = [slowly]
    with _resolver(f"{hub.url}/model") as first, _resolver(f"{hub.url}/model") as second:
        _wait_for_request(hub)
        caching.build_cached("other", _make_nothing)
        assert list(cache.glob("url-*.tmp")), "somebody is at work there"
        time.sleep(0.4)  # the second one comes to the lock
        both.set()
        assert first.communicate() == second.communicate()
    assert len(hub.requests) == 1
