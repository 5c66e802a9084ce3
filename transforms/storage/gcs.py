"""Google Cloud Storage, through Google's client, which is never left to try again by itself."""

import contextlib
import dataclasses
import functools
import json
import logging
import os
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar

import google.auth
from google.api_core import exceptions
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Client

from transforms.storage import http
from transforms.storage.ranges import WHOLE_BYTES, Part, open_ranges
from transforms.storage.retries import RetryPolicy, TransientError
from transforms.storage.store import Facts, Listed, NoBucketError, move_by_copy, split_uri

try:
    from google.cloud.storage.exceptions import DataCorruption
except ImportError:  # before 3.0
    from google.resumable_media import DataCorruption

_Result = TypeVar("_Result")
_SCOPES = ("https://www.googleapis.com/auth/devstorage.full_control",)
_KEY_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_CONTENT_TYPE = "application/octet-stream"
_PAGE_SIZE = 1000
# The client keeps as much of a large file in memory while it sends it; 100 MiB if it is not told.
_UPLOAD_BYTES = 16 * 2**20
# The client asks for the bucket behind every first use of it, for traces that nobody takes; without
# this that costs a request, and fills logs where only objects may be read.
_NO_BUCKET_METADATA = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"
# Sending is slower than this only where nothing works.
_MIN_UPLOAD_BYTES_A_SECOND = 2**17


@dataclasses.dataclass(frozen=True)
class GcsSettings:
    """How to reach it.

    Attributes:
      emulator: Address of a stand-in, which is asked without credentials; empty for Google.
      impersonate: Service accounts: the last one is used, the others pass the right on.
      scopes: Of the credentials.
    """

    emulator: str = ""
    impersonate: tuple[str, ...] = ()
    scopes: tuple[str, ...] = _SCOPES


class GcsStore:
    """`gs://`, see `store.Store`."""

    def __init__(self, settings: GcsSettings, retry_policy: RetryPolicy) -> None:
        """Looks for credentials.

        Args:
          settings: How to reach it.
          retry_policy: How long is waited.

        Raises:
          PermissionError: The credentials that are named cannot be used.
        """
        self._retry_policy = retry_policy
        credentials = AnonymousCredentials() if settings.emulator else _credentials(settings)
        self._is_anonymous = isinstance(credentials, AnonymousCredentials)
        self._who = getattr(credentials, "service_account_email", None)
        self._client = _client(settings.emulator, credentials)
        self._host = urllib.parse.urlsplit(self._client.api_endpoint).netloc
        self._how = {
            "timeout": (retry_policy.connect_seconds, retry_policy.read_seconds),
            "retry": None,
        }

    def open(self, uri: str, whole_bytes: int = WHOLE_BYTES) -> BinaryIO:
        facts: Facts | None = None

        def fetch(start: int, end: int) -> Part:
            nonlocal facts
            part = self._call(uri, lambda: self._fetch(uri, start, end, facts))
            facts = facts or Facts(part.total_bytes, part.version)
            return part

        return open_ranges(fetch, uri, whole_bytes)

    def size(self, uri: str) -> int:
        return self.look_up(uri).num_bytes

    def look_up(self, uri: str) -> Facts:
        return self._call(uri, lambda: self._look_up(uri))

    def list_below(self, prefix: str) -> Iterator[Listed]:
        bucket, name = split_uri(prefix)
        token: str | None = None
        while True:
            ask = functools.partial(self._page, bucket, name, token)
            page, token = self._call(prefix, ask, is_listing=True)
            yield from page
            if not token:
                return

    def upload(self, uri: str, file: BinaryIO, num_bytes: int) -> None:
        def send() -> None:
            blob = self._blob(uri, chunk_size=_UPLOAD_BYTES)
            blob.content_type = _CONTENT_TYPE
            blob.upload_from_file(file, rewind=True, size=num_bytes, checksum="crc32c", **self._how)
            if blob.size != num_bytes:
                raise TransientError(f"{uri}: other bytes arrived than were sent")

        self._call(uri, send, extra_seconds=num_bytes / _MIN_UPLOAD_BYTES_A_SECOND)

    def move(self, source: str, target: str) -> None:
        move_by_copy(self, lambda: self._copy(source, target), source, target)

    def delete(self, uri: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._call(uri, lambda: self._blob(uri).delete(**self._how))

    def _fetch(self, uri: str, start: int, end: int, facts: Facts | None) -> Part:
        """Fetches a part; the first one, for which there are no facts, finds them out."""
        blob = self._blob(uri)
        body = http.Body(self._retry_policy.total_seconds)
        try:
            blob.download_to_file(
                body,
                start=start,
                end=end - 1,
                raw_download=True,  # what is stored compressed comes as it is stored
                checksum=None,  # storages tell that of the whole only
                if_generation_match=int(facts.version) if facts else None,
                **self._how,
            )
        except exceptions.RequestRangeNotSatisfiable:
            return Part(b"", 0, 0)
        except exceptions.PreconditionFailed as error:
            raise OSError(f"{uri} was replaced while it was read") from error
        data = body.getvalue()
        version = str(blob.generation or "")
        if facts is None:
            # The client does not tell how large the object is. An answer that is cut off is an
            # error of urllib3, so one that is shorter than asked for ends where the object does.
            is_whole = len(data) < end - start
            facts = Facts(len(data), version) if is_whole else self._look_up(uri)
            if version and facts.version != version:
                raise TransientError(f"{uri} was replaced while it was read")
        if len(data) != min(end, facts.num_bytes) - start:
            raise TransientError(f"{uri}: the answer is cut off")
        return Part(data, start, facts.num_bytes, version or facts.version)

    def _look_up(self, uri: str) -> Facts:
        blob = self._blob(uri)
        blob.reload(**self._how)
        return Facts(int(blob.size), str(blob.generation), blob.crc32c or "")

    def _page(self, bucket: str, name: str, token: str | None) -> tuple[list[Listed], str | None]:
        if not bucket:
            raise NoBucketError("there is no bucket gs://")
        found = self._client.list_blobs(
            bucket,
            prefix=name,
            page_token=token,
            page_size=_PAGE_SIZE,
            fields="items(name,size),nextPageToken",
            **self._how,
        )
        page = [Listed(f"gs://{bucket}/{blob.name}", int(blob.size)) for blob in next(found.pages)]
        return page, found.next_page_token

    def _copy(self, source: str, target: str) -> None:
        token: str | None = None
        while True:  # what is large, or goes far, takes several requests
            token = self._call(source, functools.partial(self._rewrite, source, target, token))
            if token is None:
                return

    def _rewrite(self, source: str, target: str, token: str | None) -> str | None:
        blob = self._blob(target)
        blob.content_type = _CONTENT_TYPE  # the client has it made anew, so it would be lost
        token, _, _ = blob.rewrite(self._blob(source), token=token, **self._how)
        return token

    def _blob(self, uri: str, chunk_size: int | None = None) -> Any:
        # A new one each time: one that was used goes on with its generation and its own address.
        bucket, name = split_uri(uri)
        if not bucket or not name:
            raise FileNotFoundError(f"{uri} names no object (gs://BUCKET/NAME)")
        return self._client.bucket(bucket).blob(name, chunk_size=chunk_size)

    def _call(
        self,
        uri: str,
        ask: Callable[[], _Result],
        is_listing: bool = False,
        extra_seconds: float = 0.0,
    ) -> _Result:
        def once() -> _Result:
            with http.translate_errors(self._host, uri), self._translate_errors(uri, is_listing):
                return ask()

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
            passes = error.retryable or isinstance(error, TransportError)
            kind = TransientError if passes else PermissionError
            raise kind(f"the credentials cannot be used: {error}") from error

    def _refusal(self, error: exceptions.GoogleAPICallError, uri: str, is_listing: bool) -> OSError:
        body = error.response.content if error.response is not None else b""
        status, text = int(error.code or 0), _message(body)
        if status in http.RETRYABLE_STATUSES:
            words = f"{http.status_words(status)}{http.quote(body)}"
            return TransientError(f"{self._host} answers {words}")
        if status == 404:
            if is_listing or "bucket does not exist" in text:
                return NoBucketError(f"there is no bucket gs://{split_uri(uri)[0]}")
            return FileNotFoundError(f"{uri} does not exist")
        if status in (401, 403):
            return PermissionError(f"{uri}: {self._forbidden(text)}")
        return OSError(f"{uri}: the storage answers {http.status_words(status)}: {text}")

    def _forbidden(self, text: str) -> str:
        if self._is_anonymous:
            return (
                "access is denied, and there are no Google credentials; log in with `gcloud auth"
                f" application-default login`, or name a key file in {_KEY_VARIABLE}"
            )
        whose = self._who if self._who and self._who != "default" else "your Google credentials"
        return f"access is denied to {whose}: {text}"


def _credentials(settings: GcsSettings) -> Credentials:
    logger = logging.getLogger("google.auth")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of every machine that is not Google's
    try:
        credentials, _ = google.auth.default(scopes=settings.scopes)
    except DefaultCredentialsError as error:
        if os.environ.get(_KEY_VARIABLE):
            raise PermissionError(f"{_KEY_VARIABLE}: {error}") from error
        return AnonymousCredentials()
    except GoogleAuthError as error:
        raise PermissionError(f"the Google credentials cannot be used: {error}") from error
    finally:
        logger.setLevel(level)
    if settings.impersonate:
        return impersonated_credentials.Credentials(
            source_credentials=credentials,
            target_principal=settings.impersonate[-1],
            delegates=settings.impersonate[:-1],
            target_scopes=settings.scopes,
        )
    return credentials


def _client(emulator: str, credentials: Credentials) -> Any:
    os.environ.setdefault(_NO_BUCKET_METADATA, "true")
    options = {}
    if emulator:
        address = emulator.rstrip("/")
        options["api_endpoint"] = address if "://" in address else f"http://{address}"
    # Nobody's credentials cannot be renewed, which google-auth would try where they are refused.
    renewed_at = () if isinstance(credentials, AnonymousCredentials) else (401,)
    session: Any = http.pooled(AuthorizedSession(credentials, refresh_status_codes=renewed_at))
    try:
        session.configure_mtls_channel()
        return Client(None, credentials, _http=session, client_options=options)
    except (GoogleAuthError, ValueError) as error:
        raise PermissionError(f"the Google credentials cannot be used: {error}") from error


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace")[:200]
