"""What is tried again, and for how long."""

from collections.abc import Callable

import pytest

from transforms.storage import retries
from transforms.storage.retries import RetryPolicy, TransientError


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


def test_a_fault_that_passes_is_not_seen() -> None:
    function, calls = _failing(5, TransientError)
    assert RetryPolicy().call(function) == 7
    assert len(calls) == 6


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError, OSError])
def test_what_does_not_pass_is_not_tried_again(error: type[OSError]) -> None:
    function, calls = _failing(1, error)
    with pytest.raises(error, match="the storage is away"):
        RetryPolicy().call(function)
    assert len(calls) == 1


def test_patience_ends_and_the_error_says_what_was_tried() -> None:
    function, calls = _failing(10**9, TransientError)
    with pytest.raises(OSError, match=r"^the storage is away \(\d+ tries in \d+ s\)$"):
        RetryPolicy(total_seconds=1).call(function)
    assert 3 < len(calls) < 500


def test_nobody_waits_half_a_minute_for_a_preflight() -> None:
    hasty = retries.PREFLIGHT_RETRY
    last_try = max(hasty.connect_seconds, hasty.read_seconds)
    assert hasty.total_seconds + last_try + hasty.connect_seconds < 25
    patient = retries.DEFAULT_RETRY
    assert patient.total_seconds + patient.connect_seconds + patient.read_seconds <= 125
