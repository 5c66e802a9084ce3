"""The backend for `https://` and `http://`: files on the web, read only."""

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

import requests
from requests.utils import requote_uri

from transforms.storage import http
from transforms.storage.ranges import WHOLE_BYTES, Part, open_ranges
from transforms.storage.retries import RetryPolicy, TransientError
from transforms.storage.store import FileInfo, parse_content_range

_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class WebStore:
    """A `store.Store` for all hosts of the web.

    From a server without range requests a file is read whole, up to `WHOLE_BYTES`.
    """

    def __init__(self, retry_policy: RetryPolicy) -> None:
        self._retry_policy = retry_policy
        self._session = http.pooled(requests.Session())

    def open(self, uri: str, whole_bytes: int = WHOLE_BYTES) -> BinaryIO:
        return open_ranges(lambda start, end: self._fetch(uri, start, end), uri, whole_bytes)

    def info(self, uri: str) -> FileInfo:
        return self._retry_policy.call(lambda: self._info(uri))

    def list_prefix(self, prefix: str) -> Iterator[FileInfo]:
        raise OSError(f"{prefix}: the web cannot be listed; name its files in a manifest")

    def upload(self, uri: str, file: BinaryIO, num_bytes: int, replaces: str | None = None) -> None:
        raise OSError(f"{uri}: the web can only be read; write to a folder, gs:// or s3://")

    def move(self, source: str, target: str) -> None:
        raise OSError(f"{source}: the web can only be read")

    def delete(self, uri: str) -> None:
        raise OSError(f"{uri}: the web can only be read")

    def _info(self, uri: str) -> FileInfo:
        answer = self._ask(uri, 0, 1, max_bytes=0)
        version = _version(answer)
        found = parse_content_range(answer.headers.get("Content-Range", ""))
        if found:
            return FileInfo(uri, found[2], version)
        if answer.status == 416:
            return FileInfo(uri, 0, version)
        try:
            return FileInfo(uri, int(answer.headers["Content-Length"]), version)
        except (KeyError, ValueError) as error:
            raise io.UnsupportedOperation(f"{uri}: the server does not tell its size") from error

    def _fetch(self, uri: str, start: int, end: int) -> Part:
        return self._retry_policy.call(lambda: self._fetch_once(uri, start, end))

    def _fetch_once(self, uri: str, start: int, end: int) -> Part:
        answer = self._ask(uri, start, end, max_bytes=WHOLE_BYTES)
        version = _version(answer)
        if answer.status == 416 and not start:
            return Part(b"", 0, 0, version)
        if answer.status == 206:
            found = parse_content_range(answer.headers.get("Content-Range", ""))
            if found is None:
                raise OSError(f"{uri}: the server sends a part without its Content-Range")
            if len(answer.body) != found[1] - found[0]:
                raise TransientError(f"{uri}: the answer is cut off")
            return Part(answer.body, found[0], found[2], version)
        if not answer.is_whole:
            raise OSError(
                f"{uri}: it has more than {WHOLE_BYTES} bytes, and the server ignores range"
                " requests; download it, or copy it to gs:// or s3://"
            )
        return Part(answer.body, 0, len(answer.body), version)

    def _ask(self, uri: str, start: int, end: int, max_bytes: int) -> http.Answer:
        answer = http.get(
            self._session,
            quoted(uri),
            self._retry_policy,
            headers={"Range": f"bytes={start}-{end - 1}"},
            max_bytes=max_bytes,
        )
        if answer.status not in (200, 206, 416) or (answer.status == 416 and start):
            words = http.status_words(answer.status)
            raise http.error_type(answer.status)(f"{uri}: the server answers {words}")
        return answer


def _version(answer: http.Answer) -> str:
    return answer.headers.get("ETag") or answer.headers.get("Last-Modified", "")


def quoted(uri: str) -> str:
    """Returns a URL as it is sent.

    Spaces and letters beyond ASCII are quoted. `#` counts as part of the name, as no recording has
    a fragment. `%` with two hexadecimal digits counts as quoted already.

    Raises:
      OSError: It is not a valid URL.
    """
    try:
        return requote_uri(_LONE_PERCENT.sub("%25", uri.replace("#", "%23")))
    except (requests.RequestException, UnicodeError) as error:
        raise OSError(f"{uri!a} is not a valid URL: {error}") from error
