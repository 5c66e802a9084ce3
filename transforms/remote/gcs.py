"""Google Cloud Storage, through its JSON interface.

A read is one request; Google's own client reads an object's metadata before its content.
"""

import base64
import contextlib
import dataclasses
import json
import logging
import os
import urllib.parse
from collections.abc import Iterator
from typing import Any, BinaryIO

import google.auth
import google_crc32c
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

from transforms.remote import web
from transforms.remote.patience import Patience, TransientError
from transforms.remote.ranges import WHOLE_BYTES, Part, open_ranges
from transforms.remote.store import Facts, Listed, NoBucketError, parse_content_range, split_uri

_ENDPOINT = "https://storage.googleapis.com"
_SCOPES = ("https://www.googleapis.com/auth/devstorage.full_control",)
_KEY_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_PAGE_SIZE = "1000"
_BLOCK_BYTES = 2**20
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

    def __init__(self, settings: GcsSettings, patience: Patience) -> None:
        """Looks for credentials.

        Args:
          settings: How to reach it.
          patience: How long is waited.

        Raises:
          PermissionError: The credentials that are named cannot be used.
        """
        self._patience = patience
        self._endpoint = (settings.emulator or _ENDPOINT).rstrip("/")
        if "://" not in self._endpoint:
            self._endpoint = f"http://{self._endpoint}"
        credentials = AnonymousCredentials() if settings.emulator else _credentials(settings)
        self._is_anonymous = isinstance(credentials, AnonymousCredentials)
        self._who = getattr(credentials, "service_account_email", None)
        self._session: Any = web.pooled(AuthorizedSession(credentials))

    def open(self, uri: str, whole_bytes: int = WHOLE_BYTES) -> BinaryIO:
        return open_ranges(lambda start, end: self._fetch(uri, start, end), uri, whole_bytes)

    def size(self, uri: str) -> int:
        return self.look_up(uri).num_bytes

    def look_up(self, uri: str) -> Facts:
        params = {"fields": "size,generation,crc32c"}
        found = self._ask_json("GET", self._object(uri), uri, params)
        return Facts(int(found["size"]), str(found["generation"]), found.get("crc32c", ""))

    def list_below(self, prefix: str) -> Iterator[Listed]:
        bucket, name = split_uri(prefix)
        params = {
            "prefix": name,
            "maxResults": _PAGE_SIZE,
            "fields": "items(name,size),nextPageToken",
        }
        url = f"{self._endpoint}/storage/v1/b/{_quoted(bucket)}/o"
        while True:
            page = self._ask_json("GET", url, prefix, params, is_listing=True)
            for item in page.get("items", ()):
                yield Listed(f"gs://{bucket}/{item['name']}", int(item["size"]))
            if not page.get("nextPageToken"):
                return
            params["pageToken"] = page["nextPageToken"]

    def upload(self, uri: str, file: BinaryIO, num_bytes: int) -> None:
        bucket, name = split_uri(uri)
        url = f"{self._endpoint}/upload/storage/v1/b/{_quoted(bucket)}/o"
        params = {"uploadType": "media", "name": name, "fields": "size,crc32c"}
        headers = {"Content-Type": "application/octet-stream"}
        file.seek(0)
        checksum = google_crc32c.Checksum()
        while block := file.read(_BLOCK_BYTES):
            checksum.update(block)
        crc32c = base64.b64encode(checksum.digest()).decode()

        def send() -> None:
            file.seek(0)
            data = file if num_bytes else b""
            answer = self._once("POST", url, uri, params, headers=headers, data=data)
            made = _json(answer, uri)
            if int(made["size"]) != num_bytes or made.get("crc32c", crc32c) != crc32c:
                raise TransientError(f"{uri}: other bytes arrived than were sent")

        self._patience.call(send, extra_seconds=num_bytes / _MIN_UPLOAD_BYTES_A_SECOND)

    def move(self, source: str, target: str) -> None:
        try:
            self._copy(source, target)
        except NoBucketError:
            raise
        except FileNotFoundError as gone:
            try:
                self.size(target)
            except FileNotFoundError:
                raise gone from None
        self.delete(source)

    def delete(self, uri: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._patience.call(lambda: self._once("DELETE", self._object(uri), uri))

    def _copy(self, source: str, target: str) -> None:
        bucket, name = split_uri(target)
        into = f"{self._object(source)}/rewriteTo/b/{_quoted(bucket)}/o/{_quoted(name)}"
        params = {"fields": "done,rewriteToken"}
        while True:  # what is large, or goes far, takes several requests
            answer = self._ask_json("POST", into, source, params)
            if answer.get("done", True):
                return
            params["rewriteToken"] = answer["rewriteToken"]

    def _fetch(self, uri: str, start: int, end: int) -> Part:
        return self._patience.call(lambda: self._fetch_once(uri, start, end))

    def _fetch_once(self, uri: str, start: int, end: int) -> Part:
        # An object that is stored compressed comes as it is stored.
        headers = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "gzip"}
        answer = self._once("GET", self._object(uri), uri, {"alt": "media"}, headers=headers)
        version = answer.headers.get("x-goog-generation", "")
        found = parse_content_range(answer.headers.get("Content-Range", ""))
        if answer.status == 416:
            return Part(b"", 0, 0, version)
        if found is None:
            return Part(answer.body, 0, len(answer.body), version)
        if len(answer.body) != max(0, found[1] - found[0]):
            raise TransientError(f"{uri}: the answer is cut off")
        return Part(answer.body, found[0], found[2], version)

    def _object(self, uri: str) -> str:
        bucket, name = split_uri(uri)
        if not bucket or not name:
            raise FileNotFoundError(f"{uri} names no object (gs://BUCKET/NAME)")
        return f"{self._endpoint}/storage/v1/b/{_quoted(bucket)}/o/{_quoted(name)}"

    def _ask_json(
        self, method: str, url: str, uri: str, params: dict[str, str], is_listing: bool = False
    ) -> dict[str, Any]:
        return self._patience.call(
            lambda: _json(self._once(method, url, uri, params, is_listing), uri)
        )

    def _once(
        self,
        method: str,
        url: str,
        uri: str,
        params: dict[str, str] | None = None,
        is_listing: bool = False,
        **more: Any,
    ) -> web.Answer:
        answer = web.ask(self._session, method, url, self._patience, params=params, **more)
        self._check(answer, uri, is_listing)
        return answer

    def _check(self, answer: web.Answer, uri: str, is_listing: bool) -> None:
        if answer.status < 300 or answer.status == 416:
            return
        text = _message(answer.body)
        if answer.status == 404:
            bucket = split_uri(uri)[0]
            if is_listing or "bucket does not exist" in text:
                raise NoBucketError(f"there is no bucket gs://{bucket}")
            raise FileNotFoundError(f"{uri} does not exist")
        if answer.status in (401, 403):
            raise PermissionError(f"{uri}: {self._forbidden(text)}")
        raise OSError(f"{uri}: the storage answers {web.status_words(answer.status)}: {text}")

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


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")


def _json(answer: web.Answer, uri: str) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except ValueError as error:
        raise TransientError(f"{uri}: the storage sends no JSON") from error
    return found if isinstance(found, dict) else {}


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace")[:200]
