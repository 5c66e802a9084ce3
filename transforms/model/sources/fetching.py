"""From a URL to a file on this machine, over networks and hubs that fail for a while."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3

from transforms.model.errors import ModelError, in_one_line
from transforms.model.sources.caching import require_disk_space
from transforms.model.sources.unpacking import ARCHIVE_SUFFIXES
from transforms.model.sources.writing import MAX_BYTES, READ_BYTES

CONNECT_SECONDS = 10.0
# A hub that says nothing for this long is given up, and so is one that is slower than this.
STALL_SECONDS = 60.0
MIN_BYTES_PER_STALL = 2**16
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 1.0
# A hub may ask for a pause of its own, up to this one.
MAX_PAUSE_SECONDS = 60.0
# What passes by itself, by its status. Who is refused, or asks for what is not there, stays so.
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


def archive_url(url: str) -> str:
    """Returns the URL under which a hub gives a model's archive.

    Hubs are asked for an archive by a query, as tensorflow_hub does; a URL that ends as archives do
    is one already, and a signed one could not be changed.
    """
    parts = urlsplit(url)
    if parts.path.endswith(ARCHIVE_SUFFIXES) or "tf-hub-format=" in parts.query:
        return url
    query = f"{parts.query}&" if parts.query else ""
    return parts._replace(query=f"{query}tf-hub-format=compressed", fragment="").geturl()


def download(url: str, target: Path) -> None:
    """Fetches a model's archive, as `fetch` does.

    Args:
      url: http or https, as a hub takes it.
      target: The file to write, new or of an attempt before.

    Raises:
      ModelError: It cannot be fetched, or it does not fit on the disk.
      OSError: It cannot be written.
    """
    hint = "Download it where the network allows, and name the archive or its folder with --model"
    fetch(url, target, hint, MAX_BYTES, archive_url(url))


def fetch(
    url: str,
    target: Path,
    hint: str,
    max_bytes: int,
    request: str | None = None,
) -> None:
    """Fetches a file, through the proxy of the environment if there is one.

    Tries again where that may help: after resets, stalls, bodies that are cut short, and when the
    other side is overloaded or broken.

    Args:
      url: http or https; redirects are followed.
      target: The file to write, new or of an attempt before.
      hint: What the user can do where it cannot be fetched, a sentence without its full stop.
      max_bytes: More of them are an error.
      request: What is really asked for, where that is another URL.

    Raises:
      ModelError: It cannot be fetched, or it does not fit on the disk.
      OSError: It cannot be written.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_may_pass),
        wait=_pause_seconds,
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        reraise=True,
    )
    try:
        retrying(_receive, url, request or url, target, max_bytes)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise ModelError(f"cannot fetch {url}: {_cause(error)}. {hint}") from error


def _receive(url: str, request: str, target: Path, max_bytes: int) -> None:
    # The file as it is: some servers would take its own compression for that of the transport.
    headers = {"Accept-Encoding": "identity"}
    timeouts = (CONNECT_SECONDS, STALL_SECONDS)
    with requests.get(request, headers=headers, timeout=timeouts, stream=True) as response:
        response.raise_for_status()
        size = response.raw.length_remaining or 0
        received = 0
        with require_disk_space(size, target.parent, url), target.open("wb") as file:
            for block in _blocks(response.raw):
                received += len(block)
                if received > max_bytes:
                    raise ModelError(f"{url} gives more than {max_bytes} bytes")
                file.write(block)


def _blocks(body: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Yields a body as it comes in, as long as it comes in at some speed.

    A body that ends before its Content-Length is an error of urllib3.
    """
    started, received = time.monotonic(), 0
    while block := body.read1(READ_BYTES):
        yield block
        received += len(block)
        seconds = time.monotonic() - started
        if seconds >= STALL_SECONDS:
            if received < MIN_BYTES_PER_STALL:
                raise requests.Timeout(f"only {received} bytes came in {seconds:.0f} s")
            started, received = time.monotonic(), 0


def _may_pass(error: BaseException) -> bool:
    """Tells whether it is worth to try again."""
    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code in _PASSING_STATUS
    if isinstance(error, requests.exceptions.SSLError):  # a certificate, which stays what it is
        return False
    if _number(error) == socket.EAI_NONAME:  # no network, or a misspelt host
        return False
    return isinstance(
        error,
        (
            requests.ConnectionError,
            requests.Timeout,
            urllib3.exceptions.ProtocolError,
            urllib3.exceptions.TimeoutError,
        ),
    )


def _pause_seconds(state: tenacity.RetryCallState) -> float:
    """Returns how long to wait: twice as long each time, or what the hub asks for."""
    error = state.outcome.exception() if state.outcome else None
    answer = error.response if isinstance(error, requests.HTTPError) else None
    asked = "" if answer is None else answer.headers.get("Retry-After", "")
    seconds = FIRST_PAUSE_SECONDS * 2 ** (state.attempt_number - 1)
    # Workers that failed together do not come back together.
    seconds += tenacity.wait_random(0, seconds / 2)(state)
    return min(max(seconds, float(asked) if asked.isdecimal() else 0.0), MAX_PAUSE_SECONDS)


def _number(error: BaseException) -> int | None:
    """Returns the number of what went wrong with a name, or None where it was something else."""
    innermost = _innermost(error)
    return innermost.errno if isinstance(innermost, socket.gaierror) else None


def _cause(error: BaseException) -> str:
    """Returns the innermost error in words; the outer ones only repeat the URL."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    return in_one_line(_innermost(error))


def _innermost(error: BaseException) -> BaseException:
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error
