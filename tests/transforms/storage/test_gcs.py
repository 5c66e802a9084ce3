"""The backend of gs://, against a server with Google's answers."""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pytest

from tests.stand_ins import web_server
from tests.stand_ins.web_server import Request, WebServer
from transforms.storage import ranges, retries
from transforms.storage.gcs import GcsStore
from transforms.storage.gcs_client import GcsSettings
from transforms.storage.retries import RetryPolicy

SMALL = np.random.default_rng(0).bytes(100_000)
LARGE = np.random.default_rng(1).bytes(ranges.FIRST_BYTES * 3)
URI = "gs://corpora/a b/ü.wav"


class _Google(WebServer):
    """One bucket, whose objects share a generation; `after` some requests it calls a function."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        self.generation = 7
        self.encoding = ""  # of all objects
        self.checks_generation = True
        self.after: dict[int, Callable[[], None]] = {}
        self.asked: list[str] = []
        self.sent: list[dict[str, str]] = []

    def put(self, data: bytes) -> None:
        self.objects["a b/ü.wav"] = data
        self.generation += 1

    def answer(self, request: Request) -> None:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        kind = "media" if query.get("alt") == "media" else parts.path.split("/")[2]
        self.asked.append(f"{request.command} {kind}")
        self.sent.append({**query, **(json.loads(body) if body else {})})
        status = self.next_status()
        if status != 200:
            request.reply(status, b'{"error": {"message": "in Google\'s words"}}')
        elif parts.path.endswith("/o"):
            self._list(request, query)
        elif "/rewriteTo/" in parts.path:
            self._rewrite(request, query)
        else:
            self._object(request, unquote(parts.path.rpartition("/")[2]), query)
        self.after.pop(len(self.asked), lambda: None)()

    def _list(self, request: Request, query: dict[str, str]) -> None:
        start = int(query.get("pageToken", 0))
        page = sorted(self.objects)[start : start + 2]
        found = {"items": [{"name": name, "size": "1"} for name in page]}
        more = {"nextPageToken": str(start + 2)} if start + 2 < len(self.objects) else {}
        request.reply(200, json.dumps(found | more).encode())

    def _rewrite(self, request: Request, query: dict[str, str]) -> None:
        step = int(query.get("rewriteToken", 0))
        answer = {"totalBytesRewritten": str(step), "objectSize": "2", "done": step == 2}
        more: dict[str, Any] = {"resource": {}} if step == 2 else {"rewriteToken": str(step + 1)}
        request.reply(200, json.dumps(answer | more).encode())

    def _object(self, request: Request, name: str, query: dict[str, str]) -> None:
        data, generation = self.objects.get(name), str(self.generation)
        wanted = query.get("ifGenerationMatch", generation)
        if data is None:
            request.reply(404)
        elif query.get("alt") != "media":
            found = {"size": str(len(data)), "generation": generation, "crc32c": "AAAAAA=="}
            request.reply(200, json.dumps(found).encode())
        elif self.checks_generation and wanted != generation:
            request.reply(412)
        else:
            headers = {"x_goog_generation": generation, "Content_Encoding": self.encoding}
            request.reply_range(data, **headers)


@pytest.fixture
def google() -> Iterator[_Google]:
    with web_server.running(_Google()) as server:
        yield server


@pytest.fixture
def store(google: _Google, monkeypatch: pytest.MonkeyPatch) -> GcsStore:
    monkeypatch.setattr(retries, "_FIRST_WAIT_SECONDS", 0.01)
    settings = GcsSettings(emulator=f"127.0.0.1:{google.server_port}")
    return GcsStore(settings, RetryPolicy(connect_seconds=30, read_seconds=30, total_seconds=2))


def _read(store: GcsStore) -> bytes:
    with store.open(URI) as file:
        return file.read()


@pytest.mark.parametrize("num_bytes", [0, 1, len(SMALL)])
def test_a_small_object_is_one_request(google: _Google, store: GcsStore, num_bytes: int) -> None:
    google.put(SMALL[:num_bytes])
    assert _read(store) == SMALL[:num_bytes]
    assert google.asked == ["GET media"]


@pytest.mark.parametrize("num_bytes", [ranges.FIRST_BYTES, ranges.FIRST_BYTES + 1, len(LARGE)])
def test_the_size_of_a_larger_one_is_requested_once(
    google: _Google, store: GcsStore, num_bytes: int
) -> None:
    google.put(LARGE[:num_bytes])
    assert _read(store) == LARGE[:num_bytes]
    others = ["GET media"] if num_bytes > ranges.FIRST_BYTES else []
    assert google.asked == ["GET media", "GET v1", *others]
    assert all(sent["ifGenerationMatch"] == "8" for sent in google.sent[2:])


def test_the_size_is_known_without_the_object(google: _Google, store: GcsStore) -> None:
    google.put(LARGE)
    info = store.info(URI)
    assert (info.num_bytes, info.version, info.crc32c) == (len(LARGE), "8", "AAAAAA==")
    assert google.asked == ["GET v1"]


@pytest.mark.parametrize("checks_generation", [True, False])
def test_an_object_that_is_replaced_while_it_is_read_is_an_error(
    google: _Google, store: GcsStore, checks_generation: bool
) -> None:
    google.checks_generation = checks_generation
    google.put(LARGE)
    file = store.open(URI)
    google.put(LARGE[::-1])
    file.seek(ranges.FIRST_BYTES)
    with pytest.raises(OSError, match=r"ü\.wav was replaced while it was read"):
        file.read()
    assert google.asked == ["GET media", "GET v1", "GET media"]


def test_an_object_that_is_replaced_while_it_is_opened_is_the_new_one(
    google: _Google, store: GcsStore
) -> None:
    google.put(LARGE)
    google.after[1] = lambda: google.put(LARGE[::-1])
    assert _read(store) == LARGE[::-1]


def test_a_compressed_object_is_not_decompressed(google: _Google, store: GcsStore) -> None:
    google.encoding = "gzip"
    for data in (gzip.compress(SMALL), gzip.compress(LARGE)):
        google.put(data)
        assert _read(store) == data


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_a_truncated_answer_is_never_taken_for_the_end(
    google: _Google, store: GcsStore, data: bytes
) -> None:
    google.put(data)
    google.num_cut = 3
    assert _read(store) == data
    google.num_cut = 10**9
    with pytest.raises(OSError, match=r"the answer is cut off \(\d+ tries"):
        _read(store)


def test_a_body_that_arrives_too_slowly_is_an_error(google: _Google, store: GcsStore) -> None:
    google.put(LARGE)
    google.pause_seconds = 0.5  # a minute or more for the whole
    with pytest.raises(OSError, match=r"does not answer: it takes too long \(1 try"):
        _read(store)
    assert google.num_parts < 20
    google.pause_seconds = 0.0  # for the server, which has not noticed


def test_retryable_statuses_are_retried(google: _Google, store: GcsStore) -> None:
    google.put(LARGE)
    google.statuses = [503, 429, 200, 500, 200, 502]
    assert _read(store) == LARGE


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (404, FileNotFoundError, "ü.wav does not exist"),
        (403, PermissionError, "log in with `gcloud auth"),
        (401, PermissionError, "log in with `gcloud auth"),
        (400, OSError, "the storage answers 400 Bad Request: in Google's words"),
    ],
)
def test_a_refusal_is_not_retried(
    google: _Google, store: GcsStore, status: int, error: type[OSError], words: str
) -> None:
    for ask in (lambda: store.open(URI), lambda: store.info(URI)):
        google.statuses = [status] * 9
        google.asked.clear()
        with pytest.raises(error) as raised:
            ask()
        assert type(raised.value) is error
        assert words in str(raised.value)
        assert len(google.asked) == 1


def test_a_page_of_a_list_that_fails_is_retried(google: _Google, store: GcsStore) -> None:
    google.objects = {f"a/{index}": b"" for index in range(5)}
    google.statuses = [200, 503, 200, 503]
    found = [info.path for info in store.list_prefix("gs://corpora/a/")]
    assert found == [f"gs://corpora/a/{index}" for index in range(5)]
    assert [sent.get("pageToken", "") for sent in google.sent] == ["", "2", "2", "4", "4"]


def test_a_copy_in_several_steps_goes_on_where_it_was(google: _Google, store: GcsStore) -> None:
    google.put(SMALL)
    google.statuses = [200, 503]
    store.move(URI, "gs://corpora/b")
    assert [sent.get("rewriteToken", "") for sent in google.sent] == ["", "1", "1", "2", ""]
    assert all(sent["contentType"] == "application/octet-stream" for sent in google.sent[:4])
    assert google.asked[-1] == "DELETE v1"


@pytest.mark.parametrize("uri", ["gs://corpora", "gs://corpora/", "gs:///a", "gs://-x/a"])
def test_a_uri_without_an_object_is_an_error_at_once(
    google: _Google, store: GcsStore, uri: str
) -> None:
    with pytest.raises(OSError, match=r"names no object|must start and end with"):
        store.open(uri)
    assert not google.asked
