"""No path, however hostile, makes a storage raise anything but OSError; a bug of our own does."""

import io
from collections.abc import Callable
from typing import BinaryIO

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from tests import optional
from transforms.storage import choosing, files, listing, ranges
from transforms.storage.guarding import guarded, outside_errors
from transforms.storage.retries import RetryPolicy

ONCE = RetryPolicy(connect_seconds=1, read_seconds=1, total_seconds=1, max_tries=1)
REMOTE = [
    *("azfs://a/b/c.wav", "azfs://", "azfs://a", "hdfs://", "hdfs://h/a.wav", "hdfs:///a"),
    *("ftp://host/a.wav", "ftp://", "data://audio/wav", "mailto://x", "://a", "a://", "1x://b"),
    *("x y://b", "\udcff://a", "a\nb://c", "[://x"),
    *("s3://", "s3:///a.wav", "s3://B_!/a.wav", "s3://a..b/c.wav", "s3://b ucket/a", "s3://é/a"),
    *("s3://arn:aws:s3:x/a", "s3://[::1/a", "s3://%zz/a", "s3://b/\udcff", "s3://\udcff/a"),
    *("s3://b/\x00", "s3://b/a\nb", f"s3://{'x' * 300}/a.wav", f"s3://b/{'k' * 3000}"),
    *("gs://", "gs:///a.wav", "gs://B_!/a.wav", "gs://a..b/c.wav", "gs://b ucket/a", "gs://é/a"),
    *("gs://[::1/a", "gs://b/\udcff", "gs://b/\x00", "gs://b/a\nb", f"gs://{'x' * 300}/a.wav"),
    *("http://", "http:///a", "http://[::1/foo.wav", "http://[::1]:99999/a", "http://..../a"),
    *("http://localhost:99999/a", "http://localhost:-1/a", "http://localhost:abc/a"),
    *("http://[fe80::1%25eth0]:1/a", "http://\x00/a", "http://a\nb/c", "http://user:pa ss@/x"),
    *("http://%zz/a", "http://.invalid/x", "http://xn--/a", "http://*/a", "http://127.0.0.1:1/%"),
    *("http://127.0.0.1:1/\udcff", f"http://{'a' * 70}.invalid/x", f"http://{'a.' * 200}/x"),
]
LOCAL = [
    *("", "\n", "a\x00b", "\udcff.wav", "\ud800.wav", "C:\\a.wav", "a" * 300, "a/" * 5000),
    *("**\x00", "[\x00*", "[z-a]*", "data:audio/wav;base64,AAAA", "http:/a", "~"),
]
READ: list[Callable[[str], object]] = [
    lambda path: files.open_to_read(path).read(9),
    files.info,
    files.matching_files,
    lambda path: files.matching_files(path + "*"),
    files.exists,
    files.is_absent,
]
WRITE: list[Callable[[str], object]] = [
    lambda path: files.write_atomically(path, [b"x"]),
    lambda path: files.rename([path], [path + "2"]),
    lambda path: files.delete_files([path]),
    files.list_names,
    files.make_folder,
]


@pytest.fixture
def storages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Storages that do not answer, and are tried once."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr(FileSystems, "_pipeline_options", PipelineOptions([]))
    monkeypatch.setattr(files, "store_of", lambda path: choosing.store_of(path, ONCE))
    monkeypatch.setattr(listing, "store_of", lambda path: choosing.store_of(path, ONCE))


@pytest.mark.usefixtures("storages")
@pytest.mark.parametrize("path", REMOTE, ids=lambda path: ascii(path[:40]))
def test_a_hostile_remote_path_raises_nothing_but_oserror(path: str) -> None:
    for operation in (*READ, *WRITE):
        try:
            operation(path)
        except OSError:
            continue
        assert operation not in READ[:2], "nothing can be read there"


@pytest.mark.parametrize("path", LOCAL, ids=lambda path: ascii(path[:40]))
def test_a_hostile_local_path_raises_nothing_but_oserror(
    path: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    for operation in READ:
        try:
            operation(path)
        except OSError:
            continue
    for operation in WRITE:
        try:
            operation(f"{tmp_path}/{path}")
        except OSError:
            continue


def test_a_local_glob_with_an_impossible_range_matches_nothing(tmp_path: object) -> None:
    assert files.matching_files(f"{tmp_path}/[z-a]*") == []


def test_azure_without_its_client_says_what_to_install() -> None:
    optional.need_no_module("azure")
    with pytest.raises(OSError, match=r"install apache-beam\[azure\]"):
        files.open_to_read("azfs://account/container/a.wav")


class _Faulty(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        return {}[size]  # type: ignore[index]


def test_what_beam_raises_in_the_middle_of_a_file_is_an_oserror(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def open_faulty(path: str, compression_type: str) -> BinaryIO:
        return _Faulty()

    monkeypatch.setattr(FileSystems, "open", open_faulty)
    monkeypatch.setattr(FileSystems, "get_filesystem", lambda path: None)
    with (
        files.open_to_read("hdfs://h/a.wav", in_parts=True) as file,
        pytest.raises(OSError, match=r"'hdfs://h/a\.wav' cannot be used: KeyError"),
    ):
        file.read(3)


def test_what_a_client_raises_in_the_middle_of_a_file_is_an_oserror() -> None:
    def fetch(start: int, end: int) -> ranges.Part:
        if start:
            raise RecursionError("deep")
        return ranges.Part(bytes(ranges.FIRST_BYTES), 0, 2 * ranges.FIRST_BYTES)

    file = ranges.open_ranges(fetch, "s3://b/a", whole_bytes=0)
    with pytest.raises(OSError, match="'s3://b/a' cannot be used: RecursionError: deep"):
        file.read()


def test_a_bug_of_this_package_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "scheme_of", None)
    with pytest.raises(TypeError, match="not callable"):
        files.open_to_read("s3://bucket/a.wav")


def test_memory_that_runs_out_stays_what_it_is() -> None:
    with pytest.raises(MemoryError), outside_errors("a"):
        raise MemoryError


def test_a_long_path_is_shortened_in_the_message() -> None:
    @guarded
    def fail(path: str) -> None:
        raise KeyError("x")

    with pytest.raises(OSError, match="cannot be used: KeyError: 'x'") as refusal:
        fail("a" * 10_000)
    assert len(str(refusal.value)) < 500
