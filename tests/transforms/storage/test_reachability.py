"""Storages that do not answer, refuse, or do not exist, and their messages."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import embed
from tests.sounds import noise, write_wav
from tests.stand_ins import s3, web_server
from tests.stand_ins.object_storages import ADDRESSES
from tests.stand_ins.web_server import Request, WebServer
from transforms.storage import files


class _Refusing(WebServer):
    """Denies access in the words of either storage."""

    def answer(self, request: Request) -> None:
        if "/storage/v1/" in request.path:
            body = b'{"error": {"code": 403, "message": "no storage.objects.list access"}}'
        else:
            body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        request.reply(403, body)


@pytest.fixture
def refusing() -> Iterator[str]:
    with web_server.running(_Refusing()) as server:
        yield server.url


def _refusal(path: str, to_write: bool = False) -> str:
    begun = time.monotonic()
    with pytest.raises(OSError, match=r".") as raised:
        files.check_reachable(path, to_write)
    # Half a minute was promised (see test_retries), and a busy machine adds to it.
    assert time.monotonic() - begun < 120
    return str(raised.value)


@pytest.mark.parametrize(
    ("scheme", "anonymous", "named"),
    [
        ("gs", "no Google credentials; log in with `gcloud", ""),
        ("s3", "no AWS credentials; set AWS_ACCESS", "access is denied to your AWS credentials"),
    ],
)
def test_denied_access_comes_with_a_hint(
    refusing: str, monkeypatch: pytest.MonkeyPatch, scheme: str, anonymous: str, named: str
) -> None:
    monkeypatch.setenv(ADDRESSES[scheme], refusing)
    if named:
        assert named in _refusal(f"{scheme}://corpora/a")
        for name in s3.ENVIRONMENT:
            monkeypatch.delenv(name)
        # Another address in name only, so that a client is made anew.
        monkeypatch.setenv(ADDRESSES[scheme], refusing.replace("127.0.0.1", "localhost"))
    for path in ("corpora/a", "corpora", "corpora/*.wav"):
        assert anonymous in _refusal(f"{scheme}://{path}")


def test_a_missing_bucket_is_named(server: tuple[str, str], bucket: str) -> None:
    assert _refusal(f"{bucket}x/a.wav") == f"there is no bucket {bucket}x"
    assert _refusal(f"{bucket}x/out", to_write=True) == f"there is no bucket {bucket}x"
    assert _refusal(f"{server[0]}://") == f"{server[0]}:// names no bucket"
    files.check_reachable(f"{bucket}/absent*")
    files.check_reachable(f"{bucket}/absent", to_write=True)
    assert files.list_names(bucket) == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("gcs://b/a", "no storage is known for gcs://; did you mean gs://?"),
        ("S3://b/a", "no storage is known for S3://; did you mean s3://?"),
        ("g3://b/a", "no storage is known for g3://; did you mean s3:// or gs://?"),
        ("S3:/b/a", "there is no folder S3:; did you mean s3://?"),
        ("gs:/b/a", "there is no folder gs:; did you mean gs://?"),
        ("strange://b", "no storage is known for strange:// (there are: gs://, s3://,"),
        ("hdfs://b/a", "hdfs:// cannot be used"),
    ],
)
def test_a_misspelt_scheme_is_named_with_the_nearest(path: str, words: str) -> None:
    assert words in _refusal(path)
    assert files.absolute(path) == path


def test_a_local_path_with_a_colon_is_local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    for name in ("s3:/a", "12:30/a.wav", "a:b", "C/x"):
        files.check_reachable(name)
        assert files.absolute(name) == f"{tmp_path}/{name}"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["gs", "s3", "http"])
@pytest.mark.parametrize("listens", [True, False])
def test_a_storage_that_does_not_answer_is_an_error_within_half_a_minute(
    monkeypatch: pytest.MonkeyPatch, scheme: str, listens: bool
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen(50)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        for variable in ADDRESSES.values():
            monkeypatch.setenv(variable, f"http://{address}")
        message = _refusal(
            f"{address if scheme == 'http' else 'corpora'}/a".join([f"{scheme}://", ""])
        )
        assert f"{address} does not answer: " in message
        assert ("it takes too long" if listens else "Connection refused") in message


def test_the_flag_is_named_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags, words in [
        (["--input=gcs://b/a"], "--input=gcs://b/a: no storage is known for gcs://; did you mean"),
        (["--input=S3:/b/a"], "--input=S3:/b/a: there is no folder S3:; did you mean s3://?"),
        (["--manifest=g3://b/m.csv"], "--manifest=g3://b/m.csv: no storage is known for g3://"),
    ]:
        assert embed(tmp_path / "out", *flags) == 2
        assert words in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
    write_wav(tmp_path / "in/a.wav", noise(20_000))
    assert embed("https://h/out", f"--input={tmp_path}/in") == 2
    message = capsys.readouterr().err
    assert "--output=https://h/out: " in message
    assert "the web can only be read; write to a folder, gs:// or s3://" in message
