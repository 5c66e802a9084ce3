"""The backend of https://, against good and bad servers."""

import hashlib
import urllib.parse
from collections.abc import Iterator

import pytest

from tests.stand_ins import web_server
from tests.stand_ins.web_server import Request, WebServer
from transforms.storage import ranges, retries
from transforms.storage.https import WebStore, quoted
from transforms.storage.retries import RetryPolicy

DATA = bytes(range(256)) * 5_000


class _Site(WebServer):
    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {"/a.wav": DATA, "/empty.wav": b""}
        self.has_ranges = True
        self.says_length = True
        self.asked: list[tuple[str, str]] = []

    def uri(self, name: str = "a.wav") -> str:
        return f"{self.url}/{name}"

    def answer(self, request: Request) -> None:
        self.asked.append((request.path, request.headers.get("Range", "")))
        status, data = self.next_status(), self.files.get(urllib.parse.unquote(request.path))
        headers = {} if self.says_length else {"Content_Length": ""}
        if status != 200 or data is None:
            request.reply(404 if status == 200 else status, b"no", **headers)
            return
        headers["ETag"] = f'"{hashlib.sha256(data).hexdigest()}"'
        if self.has_ranges:
            request.reply_range(data, **headers)
        else:
            request.reply(200, data, **headers)


@pytest.fixture
def site() -> Iterator[_Site]:
    with web_server.running(_Site()) as server:
        yield server


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> WebStore:
    monkeypatch.setattr(retries, "_FIRST_WAIT_SECONDS", 0.01)
    return WebStore(RetryPolicy(connect_seconds=30, read_seconds=30, total_seconds=2))


def _read(store: WebStore, uri: str) -> bytes:
    with store.open(uri) as file:
        return file.read()


@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.parametrize("says_length", [True, False])
def test_a_file_is_read_from_any_server(
    site: _Site, store: WebStore, has_ranges: bool, says_length: bool
) -> None:
    site.has_ranges, site.says_length = has_ranges, says_length
    assert _read(store, site.uri()) == DATA
    assert _read(store, site.uri("empty.wav")) == b""
    assert len(site.asked) == (3 if has_ranges else 2)


def test_the_size_is_known_without_the_file(site: _Site, store: WebStore) -> None:
    assert store.info(site.uri()).num_bytes == len(DATA)
    assert store.info(site.uri("empty.wav")).num_bytes == 0
    site.has_ranges = False
    assert store.info(site.uri()).num_bytes == len(DATA)
    site.says_length = False
    with pytest.raises(OSError, match="does not tell its size"):
        store.info(site.uri())


@pytest.mark.parametrize(
    "name", ["a b.wav", "50%25 off.wav", "a#1 [live]*.wav", "söng ☃.wav", "a?id=1&x=2", "d/e;f.wav"]
)
def test_any_name_is_found(site: _Site, store: WebStore, name: str) -> None:
    site.files["/" + urllib.parse.unquote(name)] = DATA[:100]
    assert _read(store, site.uri(name)) == DATA[:100]


def test_urls_are_quoted_as_they_are_sent() -> None:
    assert quoted("https://h/a b#1%20ü.wav?x=1") == "https://h/a%20b%231%20%C3%BC.wav?x=1"
    assert quoted("https://h/100%.wav") == "https://h/100%25.wav"
    with pytest.raises(OSError, match="not a valid URL"):
        quoted("https://h/\udcff.wav")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, FileNotFoundError),
        (410, FileNotFoundError),
        (403, PermissionError),
        (401, PermissionError),
        (400, OSError),
    ],
)
def test_a_refusal_is_not_retried(
    site: _Site, store: WebStore, status: int, error: type[OSError]
) -> None:
    site.statuses = [status] * 9
    with pytest.raises(error, match=str(status)) as raised:
        _read(store, site.uri())
    assert type(raised.value) is error
    assert len(site.asked) == 1


def test_retryable_statuses_are_retried(site: _Site, store: WebStore) -> None:
    site.statuses = [503, 429, 500, 200, 502]
    assert _read(store, site.uri()) == DATA


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_truncated_answer_is_never_taken_for_the_end(
    site: _Site, store: WebStore, has_ranges: bool
) -> None:
    site.has_ranges = has_ranges
    site.num_cut = 2
    assert _read(store, site.uri()) == DATA
    site.num_cut = 10**9
    with pytest.raises(OSError, match="cut off"):
        _read(store, site.uri())


def test_a_body_that_arrives_too_slowly_is_an_error(site: _Site, store: WebStore) -> None:
    site.pause_seconds = 0.5  # a minute or more for the whole
    with pytest.raises(OSError, match=r"does not answer: it takes too long \(1 try"):
        _read(store, site.uri())
    assert site.num_parts < 20
    site.pause_seconds = 0.0  # it has not noticed, and is waited for


def test_a_server_without_ranges_gives_no_large_files(
    site: _Site, store: WebStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.storage.https.WHOLE_BYTES", 1_000_000)
    assert _read(store, site.uri()) == DATA, "with ranges its size does not matter"
    site.has_ranges = False
    with pytest.raises(
        OSError, match="more than 1000000 bytes, and the server ignores range requests"
    ):
        _read(store, site.uri())


def test_a_file_that_changes_is_an_error(site: _Site, store: WebStore) -> None:
    file = store.open(site.uri())
    site.files["/a.wav"] = DATA[::-1]
    file.seek(ranges.FIRST_BYTES + 1)
    with pytest.raises(OSError, match="was replaced while it was read"):
        file.read()


def test_the_web_is_read_only(store: WebStore) -> None:
    for ask in (
        lambda: next(store.list_prefix("https://h/")),
        lambda: store.delete("https://h/a"),
        lambda: store.move("https://h/a", "https://h/b"),
    ):
        with pytest.raises(OSError, match="the web can"):
            ask()


def test_an_impossible_host_is_an_error_at_once(store: WebStore) -> None:
    for host in ("[bad", "", ":x", "ü..x", "h:99999999"):
        with pytest.raises(OSError, match=r"a\.wav|does not answer: label") as raised:
            store.open(f"https://{host}/a.wav")
        assert type(raised.value) is OSError


def test_a_host_that_does_not_answer_is_named(store: WebStore) -> None:
    with pytest.raises(OSError, match=r"127.0.0.1:9 does not answer: Connection refused \(\d+ tr"):
        store.open("http://127.0.0.1:9/a.wav")
    with pytest.raises(OSError, match=r"nowhere\.invalid does not answer"):
        store.open("https://nowhere.invalid/a.wav")
