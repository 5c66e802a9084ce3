"""One HTTP request: an answer that is whole, or an `OSError` in plain words."""

import contextlib
import dataclasses
import http
import io
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from transforms.storage.retries import RetryPolicy, TransientError

_CHUNK_BYTES = 2**20
# As many connections as threads may ask at the same time are kept open.
_NUM_CONNECTIONS = 32
# The statuses that mean "come again later".
RETRYABLE_STATUSES = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_QUOTE = 200


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
      status: Of HTTP.
      headers: By name, in any case.
      body: As it was sent, never decompressed.
      is_whole: False where there is more of the body than was allowed for.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool = True


class Body(io.BytesIO):
    """Takes what comes in within some time: one byte now and then would go on for ever."""

    def __init__(self, seconds: float) -> None:
        """Begins the time.

        Args:
          seconds: For the whole of the body.
        """
        super().__init__()
        self._until = time.monotonic() + seconds

    def write(self, data: Any) -> int:
        if time.monotonic() > self._until:
            raise TimeoutError
        return super().write(data)


def pooled(session: requests.Session) -> requests.Session:
    """Returns a session that keeps enough connections for many threads, and never retries."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=_NUM_CONNECTIONS, max_retries=0))
    return session


@contextlib.contextmanager
def translate_errors(host: str, uri: str) -> Iterator[None]:
    """Tells in plain words what goes wrong with a request while the block lasts.

    Args:
      host: Which is asked.
      uri: For which it is asked.

    Raises:
      TransientError: No answer came, or not all of it.
      OSError: It cannot be asked at all.
    """
    try:
        yield
    except requests.exceptions.SSLError as error:
        kind = OSError if "CERTIFICATE_VERIFY_FAILED" in str(error) else TransientError
        raise kind(f"{host}: {innermost(error)}") from error
    except requests.exceptions.JSONDecodeError as error:
        raise TransientError(f"{host} sends no JSON") from error
    except (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        urllib3.exceptions.HTTPError,
        ConnectionError,
        TimeoutError,
    ) as error:
        raise TransientError(f"{host} does not answer: {innermost(error)}") from error
    except (requests.RequestException, ValueError) as error:
        raise OSError(f"{uri}: {error}") from error


def get(
    session: requests.Session,
    url: str,
    retry_policy: RetryPolicy,
    headers: Mapping[str, str],
    max_bytes: int,
) -> Answer:
    """Asks once.

    Args:
      session: See `pooled`.
      url: Quoted.
      retry_policy: The deadlines of one try.
      headers: Besides the usual ones.
      max_bytes: Of the body; a longer one is left off there.

    Raises:
      TransientError: No answer came, or not all of it, or "come again later".
      OSError: It cannot be asked at all.
    """
    host = urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
    with (
        translate_errors(host, url),
        session.get(
            url,
            headers={"Accept-Encoding": "identity", **headers},
            stream=True,
            timeout=(retry_policy.connect_seconds, retry_policy.read_seconds),
        ) as response,
    ):
        body, is_whole = _body(response, retry_policy, max_bytes)
    if response.status_code in RETRYABLE_STATUSES:
        raise TransientError(f"{host} answers {status_words(response.status_code)}{quote(body)}")
    return Answer(response.status_code, response.headers, body, is_whole)


def status_words(status: int) -> str:
    """Returns a status with its name."""
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def quote(body: bytes) -> str:
    """Returns what a short text says, for a message; nothing of a page or of what is no text."""
    text = " ".join(body.decode("ascii", "replace").split())
    plain = text and len(text) <= _LONGEST_QUOTE and text.isprintable() and text[0] not in "<{"
    return f" ({text})" if plain and "\ufffd" not in text else ""


def innermost(error: BaseException) -> str:
    """Returns what the innermost cause of an error says: libraries wrap it again and again."""
    while True:
        inner = getattr(error, "reason", None) or error.__cause__ or error.__context__
        if not isinstance(inner, BaseException):
            inner = next((each for each in error.args if isinstance(each, BaseException)), None)
        if inner is None:
            break
        error = inner
    if isinstance(error, TimeoutError):
        return "it takes too long"
    if isinstance(error, urllib3.exceptions.IncompleteRead):
        return "the answer is cut off"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _body(
    response: requests.Response, retry_policy: RetryPolicy, max_bytes: int
) -> tuple[bytes, bool]:
    body = Body(retry_policy.total_seconds)
    while body.tell() <= max_bytes:
        chunk = response.raw.read1(_CHUNK_BYTES, decode_content=False)
        if not chunk:
            return body.getvalue(), True
        body.write(chunk)
    return body.getvalue()[:max_bytes], False
