"""Requests to the REST interface of a Flink cluster, version 1.19 to 2.2."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import requests

from pipeline.runners.waiting import NoAnswerError
from transforms.storage import http
from transforms.storage.retries import RETRYABLE_STATUSES

_SECONDS = 10.0
# The accumulators of a job with a few hundred operators are 350 kB.
_MAX_BYTES = 2**26


class Cluster:
    """A Flink cluster by the address of its job manager.

    Attributes:
      url: The address for people, with `http://` or `https://`, without user and password.
    """

    def __init__(self, url: str) -> None:
        self._address = (url if "://" in url else f"http://{url}").rstrip("/")
        self.url = without_password(self._address)

    def __str__(self) -> str:
        return f"the Flink cluster {self.url}"

    def get(self, path: str) -> Any:
        """Returns the parsed answer to a GET request.

        Raises:
          NoAnswerError: There is none, or one that may pass.
          FileNotFoundError: The cluster has nothing of that name.
          PermissionError: It does not give that, or a gateway before it does not.
        """
        try:
            return self.read(path)
        except (FileNotFoundError, PermissionError):
            raise
        except (OSError, ValueError) as error:
            raise NoAnswerError(f"does not respond ({error})") from error

    def read(self, path: str, seconds: float = _SECONDS) -> Any:
        """Returns the parsed answer to a GET request that is not repeated.

        Raises:
          OSError: There is none within the time, or it is a refusal.
          ValueError: It is no JSON.
        """
        try:
            body = http.probe(f"{self._address}/v1/{path}", seconds, _MAX_BYTES)
        except OSError as error:
            raise type(error)(str(error).replace(self._address, self.url)) from error
        try:
            return json.loads(body)
        except ValueError as error:
            raise ValueError("what it sends is no JSON") from error

    def cancel(self, job: str) -> None:
        """Cancels a job.

        Raises:
          NoAnswerError: The cluster does not respond.
          OSError: It does not accept that.
        """
        self._send("PATCH", f"jobs/{job}?mode=cancel")

    def delete_jar(self, jar: str) -> None:
        """Deletes an uploaded jar; raises what `cancel` does."""
        self._send("DELETE", f"jars/{jar}")

    def _send(self, method: str, path: str) -> None:
        try:
            with http.translate_errors(self.url, self.url):
                answer = requests.request(method, f"{self._address}/v1/{path}", timeout=_SECONDS)
        except OSError as error:
            raise NoAnswerError(f"does not respond ({error})") from error
        if answer.status_code in RETRYABLE_STATUSES:
            raise NoAnswerError(f"does not respond ({http.status_words(answer.status_code)})")
        http.check_status(answer.status_code)


def without_password(url: str) -> str:
    """Returns an address without the user and the password in it, for people."""
    scheme, separator, rest = url.rpartition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


@contextlib.contextmanager
def understood() -> Iterator[None]:
    """Turns what is not Flink's answer, as from a proxy before it, into a `NoAnswerError`."""
    try:
        yield
    except OSError as error:
        raise NoAnswerError(f"does not respond ({error})") from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise NoAnswerError("does not respond as Flink does") from error


@contextlib.contextmanager
def optional() -> Iterator[None]:
    """Ends the block where the cluster does not tell: the state of a job counts alone."""
    with contextlib.suppress(NoAnswerError), understood():
        yield
