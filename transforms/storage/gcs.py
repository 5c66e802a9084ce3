"""The backend for `gs://`: Google's client, whose own retries are off."""

import contextlib
import functools
import io
import json
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar

from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError, TransportError

from transforms.storage import http
from transforms.storage.gcs_client import (
    KEY_VARIABLE,
    GcsSettings,
    find_credentials,
    make_client,
)
from transforms.storage.ranges import WHOLE_BYTES, Part, open_ranges
from transforms.storage.retries import RETRYABLE_STATUSES, RetryPolicy, TransientError
from transforms.storage.store import ConflictError, FileInfo, NoBucketError, move_by_copy, split_uri

try:
    from google.cloud.storage.exceptions import DataCorruption
except ImportError:  # before 3.0
    from google.resumable_media import DataCorruption

_Result = TypeVar("_Result")
_CONTENT_TYPE = "application/octet-stream"
_PAGE_SIZE = 1000
# The client holds this much of a large file in memory while it sends it; its default is 100 MiB.
_UPLOAD_BYTES = 16 * 2**20
# An upload slower than this is as good as broken.
_MIN_UPLOAD_BYTES_A_SECOND = 2**17


class _TimedBuffer(io.BytesIO):
    """A buffer for a body that must be complete within some time, however slowly it arrives."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._deadline = time.monotonic() + seconds

    def write(self, data: Any) -> int:
        if time.monotonic() > self._deadline:
            raise TimeoutError
        return super().write(data)


class GcsStore:
    """A `store.Store` for `gs://`."""

    def __init__(self, settings: GcsSettings, retry_policy: RetryPolicy) -> None:
        """Finds the credentials.

        Raises:
          PermissionError: The configured credentials cannot be used.
        """
        self._retry_policy = retry_policy
        credentials = find_credentials(settings)
        self._is_anonymous = isinstance(credentials, AnonymousCredentials)
        self._who = getattr(credentials, "service_account_email", None)
        self._client = make_client(settings.emulator, credentials)
        self._host = urllib.parse.urlsplit(self._client.api_endpoint).netloc
        self._options = {
            "timeout": (retry_policy.connect_seconds, retry_policy.read_seconds),
            "retry": None,
        }

    def open(self, uri: str, whole_bytes: int = WHOLE_BYTES) -> BinaryIO:
        info: FileInfo | None = None

        def fetch(start: int, end: int) -> Part:
            nonlocal info
            part = self._call(uri, lambda: self._fetch(uri, start, end, info))
            info = info or FileInfo(uri, part.total_bytes, part.version)
            return part

        return open_ranges(fetch, uri, whole_bytes)

    def info(self, uri: str) -> FileInfo:
        return self._call(uri, lambda: self._info(uri))

    def list_prefix(self, prefix: str) -> Iterator[FileInfo]:
        bucket, name = split_uri(prefix)
        token: str | None = None
        while True:
            request = functools.partial(self._page, bucket, name, token)
            page, token = self._call(prefix, request, is_listing=True)
            yield from page
            if not token:
                return

    def upload(self, uri: str, file: BinaryIO, num_bytes: int, replaces: str | None = None) -> None:
        def send() -> None:
            blob = self._blob(uri, chunk_size=_UPLOAD_BYTES)
            blob.content_type = _CONTENT_TYPE
            blob.upload_from_file(
                file,
                rewind=True,
                size=num_bytes,
                checksum="crc32c",
                # An absent object has the generation 0.
                if_generation_match=None if replaces is None else int(replaces or 0),
                **self._options,
            )
            if blob.size != num_bytes:
                raise TransientError(f"{uri}: other bytes arrived than were sent")

        self._call(uri, send, extra_seconds=num_bytes / _MIN_UPLOAD_BYTES_A_SECOND)

    def move(self, source: str, target: str) -> None:
        move_by_copy(self, lambda: self._copy(source, target), source, target)

    def delete(self, uri: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._call(uri, lambda: self._blob(uri).delete(**self._options))

    def _fetch(self, uri: str, start: int, end: int, info: FileInfo | None) -> Part:
        """Fetches a part; without `info`, which only the first part lacks, it is looked up."""
        blob = self._blob(uri)
        body = _TimedBuffer(self._retry_policy.total_seconds)
        try:
            blob.download_to_file(
                body,
                start=start,
                end=end - 1,
                raw_download=True,  # else what is stored compressed would be decompressed
                checksum=None,  # it is known of whole objects only
                if_generation_match=int(info.version) if info else None,
                **self._options,
            )
        except exceptions.RequestRangeNotSatisfiable:
            return Part(b"", 0, 0)
        except exceptions.PreconditionFailed as error:
            raise OSError(f"{uri} was replaced while it was read") from error
        data = body.getvalue()
        version = str(blob.generation or "")
        if info is None:
            # The client does not tell how large the object is. An incomplete answer is an error of
            # urllib3, so one that is shorter than the range ends where the object does.
            is_whole = len(data) < end - start
            info = FileInfo(uri, len(data), version) if is_whole else self._info(uri)
            if version and info.version != version:
                raise TransientError(f"{uri} was replaced while it was read")
        if len(data) != min(end, info.num_bytes) - start:
            raise TransientError(f"{uri}: the answer is cut off")
        return Part(data, start, info.num_bytes, version or info.version)

    def _info(self, uri: str) -> FileInfo:
        blob = self._blob(uri)
        blob.reload(**self._options)
        modified = blob.updated.timestamp() if blob.updated else 0.0
        return FileInfo(uri, int(blob.size), str(blob.generation), blob.crc32c or "", modified)

    def _page(self, bucket: str, name: str, token: str | None) -> tuple[list[FileInfo], str | None]:
        if not bucket:
            raise NoBucketError("there is no bucket gs://")
        found = self._client.list_blobs(
            bucket,
            prefix=name,
            page_token=token,
            page_size=_PAGE_SIZE,
            fields="items(name,size),nextPageToken",
            **self._options,
        )
        blobs = next(found.pages)
        page = [FileInfo(f"gs://{bucket}/{blob.name}", int(blob.size)) for blob in blobs]
        return page, found.next_page_token

    def _copy(self, source: str, target: str) -> None:
        token: str | None = None
        while True:  # a large object, or a distant bucket, takes several requests
            token = self._call(source, functools.partial(self._rewrite, source, target, token))
            if token is None:
                return

    def _rewrite(self, source: str, target: str, token: str | None) -> str | None:
        blob = self._blob(target)
        blob.content_type = _CONTENT_TYPE  # else the client drops it
        token, _, _ = blob.rewrite(self._blob(source), token=token, **self._options)
        return token

    def _blob(self, uri: str, chunk_size: int | None = None) -> Any:
        # A new one each time: a used one would stick to its generation and address.
        bucket, name = split_uri(uri)
        if not bucket or not name:
            raise FileNotFoundError(f"{uri} names no object (gs://BUCKET/NAME)")
        return self._client.bucket(bucket).blob(name, chunk_size=chunk_size)

    def _call(
        self,
        uri: str,
        request: Callable[[], _Result],
        is_listing: bool = False,
        extra_seconds: float = 0.0,
    ) -> _Result:
        def once() -> _Result:
            with http.translate_errors(self._host, uri), self._translate_errors(uri, is_listing):
                return request()

        return self._retry_policy.call(once, extra_seconds)

    @contextlib.contextmanager
    def _translate_errors(self, uri: str, is_listing: bool) -> Iterator[None]:
        try:
            yield
        except exceptions.GoogleAPICallError as error:
            raise self._refusal(error, uri, is_listing) from error
        except DataCorruption as error:
            raise TransientError(f"{uri}: other bytes arrived than were sent") from error
        except GoogleAuthError as error:
            may_pass = error.retryable or isinstance(error, TransportError)
            kind = TransientError if may_pass else PermissionError
            raise kind(f"the credentials cannot be used: {error}") from error

    def _refusal(self, error: exceptions.GoogleAPICallError, uri: str, is_listing: bool) -> OSError:
        response: Any = error.response
        body, headers = (response.content, response.headers) if response is not None else (b"", {})
        status, text = int(error.code or 0), _message(body)
        if status in RETRYABLE_STATUSES:
            return http.retryable(self._host, status, headers, body)
        if status == 404:
            if is_listing or "bucket does not exist" in text:
                return NoBucketError(f"there is no bucket gs://{split_uri(uri)[0]}")
            return FileNotFoundError(f"{uri} does not exist")
        if status == 412:
            return ConflictError(f"{uri}: {text}")
        if status in (401, 403):
            return PermissionError(f"{uri}: {self._forbidden(text)}")
        return OSError(f"{uri}: the storage answers {http.status_words(status)}: {text}")

    def _forbidden(self, text: str) -> str:
        if self._is_anonymous:
            return (
                "access is denied, and there are no Google credentials; log in with `gcloud auth"
                f" application-default login`, or name a key file in {KEY_VARIABLE}"
            )
        whose = self._who if self._who and self._who != "default" else "your Google credentials"
        return f"access is denied to {whose}: {text}"


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace")[:200]
