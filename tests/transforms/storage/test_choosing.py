"""The backend of a path, for many threads."""

import threading
import time

import pytest

from transforms.storage import choosing
from transforms.storage.retries import RetryPolicy
from transforms.storage.s3 import S3Store


def test_threads_that_start_together_share_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = S3Store.__init__

    def slowly(self: S3Store, *arguments: object) -> None:
        made.append(self)
        time.sleep(0.1)
        real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(S3Store, "__init__", slowly)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    policy = RetryPolicy(total_seconds=12.5)  # that no other test has
    start = threading.Barrier(8)
    stores = []

    def choose() -> None:
        start.wait()
        stores.append(choosing.store_of("s3://bucket/a", policy))

    threads = [threading.Thread(target=choose) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert stores == made * 8
