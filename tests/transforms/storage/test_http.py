"""The client for HTTP: slow bodies, and the words for what goes wrong."""

import itertools
import ssl
import time
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from transforms.storage import http
from transforms.storage.retries import RetryPolicy, TransientError


def _body(num_bytes: list[int]) -> Any:
    """An answer whose body arrives in parts."""
    parts = iter([*(bytes(number) for number in num_bytes), b""])
    return SimpleNamespace(raw=SimpleNamespace(read1=lambda *_, **__: next(parts)))


def test_a_body_that_is_slower_than_the_least_speed_is_stalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks = itertools.count(0, 10)
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    policy = RetryPolicy(read_seconds=10, total_seconds=1_000)
    enough = http.MIN_BYTES_PER_STALL
    assert len(list(http.chunks(_body([enough] * 5), policy))) == 5
    with (
        pytest.raises(TransientError, match="host does not answer: only 65535 bytes came in 10 s"),
        http.translate_errors("host", "uri"),
    ):
        list(http.chunks(_body([enough, enough, enough - 1]), policy))


def test_errors_that_may_pass_are_told_from_those_that_do_not() -> None:
    certificate = ssl.SSLCertVerificationError("CERTIFICATE_VERIFY_FAILED: self-signed")
    for error, kind in [
        (requests.exceptions.SSLError(certificate), OSError),
        (requests.exceptions.SSLError("the handshake broke off"), TransientError),
        (requests.exceptions.JSONDecodeError("no JSON", "", 0), TransientError),
        (ConnectionResetError(104, "Connection reset by peer"), TransientError),
        (requests.exceptions.InvalidURL("no host"), OSError),
    ]:
        with (
            pytest.raises(OSError, match=r"host|uri") as raised,
            http.translate_errors("host", "uri"),
        ):
            raise error
        assert type(raised.value) is kind


def test_a_status_has_a_name_and_a_kind() -> None:
    assert http.status_words(404) == "404 Not Found"
    assert http.status_words(799) == "799"
    for status, kind in ((410, FileNotFoundError), (407, PermissionError), (501, OSError)):
        with pytest.raises(kind, match=str(status)) as raised:
            http.check_status(status)
        assert type(raised.value) is kind


def test_only_short_plain_text_is_quoted() -> None:
    assert http.quote(b" try\nlater ") == " (try later)"
    for body in (b"", b"<html>", b'{"error": 1}', b"x" * 300, b"\xff\x00"):
        assert http.quote(body) == ""
