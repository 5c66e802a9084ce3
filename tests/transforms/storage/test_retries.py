"""What is retried, and for how long."""

import time
from collections.abc import Callable

import pytest

from transforms.storage import http, retries
from transforms.storage.retries import RetryPolicy, TransientError, UnknownHostError


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(retries, "_LONGEST_WAIT_SECONDS", 0.02)


def _failing(times: int, error: type[OSError]) -> tuple[Callable[[], int], list[int]]:
    calls: list[int] = []

    def function() -> int:
        calls.append(len(calls))
        if len(calls) <= times:
            raise error("the storage is away")
        return 7

    return function, calls


def test_a_transient_fault_is_hidden() -> None:
    function, calls = _failing(5, TransientError)
    assert RetryPolicy().call(function) == 7
    assert len(calls) == 6


def test_a_permanent_error_is_not_retried() -> None:
    for error in (FileNotFoundError, PermissionError, OSError):
        function, calls = _failing(1, error)
        with pytest.raises(error, match="the storage is away"):
            RetryPolicy().call(function)
        assert len(calls) == 1


def test_a_policy_ends_and_the_error_tells_the_number_of_tries() -> None:
    for policy, words in (
        (RetryPolicy(total_seconds=0.2), r"\d+ tries in 0 s"),
        (RetryPolicy(max_tries=3), "3 tries in 0 s"),
        (RetryPolicy(max_tries=1), "1 try in 0 s"),
        (RetryPolicy(total_seconds=float("inf"), max_tries=2), "2 tries in 0 s"),
    ):
        function, calls = _failing(10**9, TransientError)
        with pytest.raises(TransientError, match=rf"^the storage is away \({words}\)$"):
            policy.call(function)
        assert len(calls) == policy.max_tries or 3 < len(calls) < 100


def test_an_unknown_host_is_retried_in_a_run_only() -> None:
    function, _ = _failing(1, UnknownHostError)
    assert retries.DEFAULT_RETRY.call(function) == 7
    for policy in (retries.PREFLIGHT_RETRY, retries.DOWNLOAD_RETRY):
        function, calls = _failing(1, UnknownHostError)
        with pytest.raises(UnknownHostError, match="1 try"):
            policy.call(function)
        assert len(calls) == 1


@pytest.mark.parametrize(("retry_after", "waited"), [("7", 7), ("3600", 60), ("Wed, 21 Oct", 0)])
def test_a_server_may_ask_for_a_pause_of_its_own(
    monkeypatch: pytest.MonkeyPatch, retry_after: str, waited: float
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    errors = [http.retryable("host", 429, {"Retry-After": retry_after}, b"slow down")]

    def function() -> None:
        if errors:
            raise errors.pop()

    RetryPolicy().call(function)
    assert pauses == [pytest.approx(waited, abs=0.02)]


def test_nobody_waits_half_a_minute_for_a_preflight() -> None:
    preflight = retries.PREFLIGHT_RETRY
    last_try = max(preflight.connect_seconds, preflight.read_seconds)
    assert preflight.total_seconds + last_try + preflight.connect_seconds < 25
    default = retries.DEFAULT_RETRY
    assert default.total_seconds + default.connect_seconds + default.read_seconds <= 125
