"""The client for HTTP: GET requests whose answers are complete, or an `OSError` in plain words."""

import contextlib
import dataclasses
import http
import socket
import time
import urllib.parse
from collections.abc import Iterator, Mapping

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from transforms.storage.retries import (
    RETRYABLE_STATUSES,
    RetryPolicy,
    TransientError,
    UnknownHostError,
)

_CHUNK_BYTES = 2**20
# As many connections as threads may use at the same time are kept open.
_NUM_CONNECTIONS = 32
_MAX_QUOTED = 200
# A body with fewer bytes than this in `read_seconds` counts as stalled.
MIN_BYTES_PER_STALL = 2**16


class _StalledError(TimeoutError):
    """A body arrives too slowly."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to a GET request.

    Attributes:
      status: The HTTP status.
      headers: By name, in any case.
      body: As it was sent, never decompressed.
      is_whole: False where the body is longer than the limit.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool = True


def pooled(session: requests.Session) -> requests.Session:
    """Returns a session that keeps enough connections for many threads, and never retries."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=_NUM_CONNECTIONS, max_retries=0))
    return session


@contextlib.contextmanager
def translate_errors(host: str, uri: str) -> Iterator[None]:
    """Turns errors of requests and urllib3 within the block into `OSError` in plain words.

    Args:
      host: The server, for messages.
      uri: The requested file, for messages.

    Raises:
      TransientError: No answer came, or an incomplete one.
      OSError: The request is impossible.
    """
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise ssl_error(host, error) from error
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
        raise no_answer(host, error) from error
    except (requests.RequestException, ValueError) as error:
        raise OSError(f"{uri}: {error}") from error


def no_answer(host: str, error: BaseException) -> OSError:
    """Returns the error for a request without a complete answer."""
    inner = _innermost(error)
    kind: type[OSError] = TransientError
    if getattr(inner, "errno", None) == socket.EAI_NONAME:
        kind = UnknownHostError
    elif isinstance(inner, UnicodeError):  # no host can have this name
        kind = OSError
    return kind(f"{host} does not answer: {cause(error)}")


def ssl_error(host: str, error: BaseException) -> OSError:
    """Returns the error for a connection that is not secure; a bad certificate stays bad."""
    kind = OSError if "CERTIFICATE_VERIFY_FAILED" in str(error) else TransientError
    return kind(f"{host}: {cause(error)}")


@contextlib.contextmanager
def stream(
    session: requests.Session,
    url: str,
    retry_policy: RetryPolicy,
    headers: Mapping[str, str] | None = None,
) -> Iterator[requests.Response]:
    """Sends one GET request; gives the answer, whose body is read by `chunks`.

    Args:
      session: See `pooled`.
      url: Quoted.
      retry_policy: The deadlines of one try.
      headers: Besides the usual ones.

    Raises:
      TransientError: No answer came, or an incomplete one, or a status that may pass.
      OSError: The request is impossible.
    """
    with translate_errors(url, url):
        host = urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
    with (
        translate_errors(host, url),
        session.get(
            url,
            # The file as it is: some servers would take its own compression for the transport's.
            headers={"Accept-Encoding": "identity", **(headers or {})},
            stream=True,
            timeout=(retry_policy.connect_seconds, retry_policy.read_seconds),
        ) as response,
    ):
        if response.status_code in RETRYABLE_STATUSES:
            body = next(chunks(response, retry_policy), b"")
            raise retryable(host, response.status_code, response.headers, body)
        yield response


def chunks(response: requests.Response, retry_policy: RetryPolicy) -> Iterator[bytes]:
    """Yields a body as it arrives.

    Raises:
      TimeoutError: The body takes longer than the policy's `total_seconds`, or is so slow that it
        counts as stalled.
    """
    started = window = time.monotonic()
    num_bytes = 0
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
        now = time.monotonic()
        if now - started > retry_policy.total_seconds:
            raise TimeoutError
        num_bytes += len(chunk)
        if now - window >= retry_policy.read_seconds:
            if num_bytes < MIN_BYTES_PER_STALL:
                raise _StalledError(f"only {num_bytes} bytes came in {now - window:.0f} s")
            window, num_bytes = now, 0
        yield chunk


def get(
    session: requests.Session,
    url: str,
    retry_policy: RetryPolicy,
    headers: Mapping[str, str],
    max_bytes: int,
) -> Answer:
    """Sends one GET request and reads its body into memory, up to `max_bytes`; see `stream`."""
    with stream(session, url, retry_policy, headers) as response:
        body = bytearray()
        for chunk in chunks(response, retry_policy):
            body += chunk
            if len(body) > max_bytes:
                break
    status, is_whole = response.status_code, len(body) <= max_bytes
    return Answer(status, response.headers, bytes(body[:max_bytes]), is_whole)


def probe(url: str, seconds: float, max_bytes: int = 0) -> bytes:
    """Sends one GET request, without retries, and returns the beginning of the body.

    Raises:
      OSError: No answer came within the time, or it is a refusal.
    """
    policy = RetryPolicy(connect_seconds=seconds, read_seconds=seconds, total_seconds=seconds)
    with requests.Session() as session:
        answer = get(session, url, policy, {}, max_bytes)
    check_status(answer.status)
    return answer.body


def retryable(host: str, status: int, headers: Mapping[str, str], body: bytes) -> TransientError:
    """Returns the error for one of the `RETRYABLE_STATUSES`."""
    wanted = headers.get("Retry-After", "")
    seconds = float(wanted) if wanted.isdecimal() else 0.0  # a date is not worth its clock
    return TransientError(f"{host} answers {status_words(status)}{quote(body)}", seconds)


def error_type(status: int) -> type[OSError]:
    """Returns the kind of error that a status means, of those that do not pass."""
    if status in (404, 410):
        return FileNotFoundError
    return PermissionError if status in (401, 403, 407) else OSError


def check_status(status: int) -> None:
    """Raises the error that a status means, if it means one."""
    if status >= 400:
        raise error_type(status)(status_words(status))


def status_words(status: int) -> str:
    """Returns a status with its name."""
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def quote(body: bytes) -> str:
    """Returns a short plain text in brackets, for a message; nothing of pages and binary data."""
    text = " ".join(body.decode("ascii", "replace").split())
    plain = text and len(text) <= _MAX_QUOTED and text.isprintable() and text[0] not in "<{"
    return f" ({text})" if plain and "\ufffd" not in text else ""


def cause(error: BaseException) -> str:
    """Returns the words of the innermost cause of an error: libraries wrap it again and again."""
    error = _innermost(error)
    if isinstance(error, TimeoutError) and not isinstance(error, _StalledError):
        return "it takes too long"
    if isinstance(error, urllib3.exceptions.IncompleteRead):
        return "the answer is cut off"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _innermost(error: BaseException) -> BaseException:
    while True:
        inner = getattr(error, "reason", None) or error.__cause__ or error.__context__
        if not isinstance(inner, BaseException):
            inner = next((each for each in error.args if isinstance(each, BaseException)), None)
        if inner is None:
            return error
        error = inner
