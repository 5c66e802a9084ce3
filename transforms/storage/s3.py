"""The backend for `s3://`: Amazon S3, and the storages with its protocol."""

import base64
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar

import boto3
import botocore.exceptions
import botocore.parsers
import urllib3.exceptions
from botocore import UNSIGNED
from botocore.config import Config
from requests.structures import CaseInsensitiveDict

from transforms.storage import http
from transforms.storage.ranges import WHOLE_BYTES, Part, open_ranges
from transforms.storage.retries import RETRYABLE_STATUSES, RetryPolicy, TransientError
from transforms.storage.store import (
    ConflictError,
    FileInfo,
    NoBucketError,
    move_by_copy,
    parse_content_range,
    split_uri,
)

_Result = TypeVar("_Result")
_NUM_CONNECTIONS = 32
_BLOCK_BYTES = 2**20
# An upload slower than this is as good as broken.
_MIN_UPLOAD_BYTES_A_SECOND = 2**17
_RETRYABLE_CODES = (
    *("SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling"),
    *("ThrottlingException", "RequestLimitExceeded", "RequestTimeTooSkewed", "BadDigest"),
)
# What a request without a complete answer raises.
_NO_ANSWER = (
    botocore.exceptions.ConnectionError,
    botocore.exceptions.HTTPClientError,
    botocore.exceptions.IncompleteReadError,
    urllib3.exceptions.HTTPError,
    ConnectionError,
    TimeoutError,
)


@dataclasses.dataclass(frozen=True)
class S3Settings:
    """Arguments of boto3's client; None stands for the setting that AWS's own tools would use.

    Attributes:
      endpoint_url: Address of a storage that is not Amazon's.
      region_name: Region of the buckets.
      aws_access_key_id, aws_secret_access_key, aws_session_token: Credentials.
      use_ssl: Whether to use https; an `endpoint_url` overrides it.
      verify: A file of certificates to trust, or False to trust any.
      api_version: Version of the S3 API.
    """

    endpoint_url: str | None = None
    region_name: str | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: str | None = dataclasses.field(default=None, repr=False)
    aws_session_token: str | None = dataclasses.field(default=None, repr=False)
    use_ssl: bool = True
    verify: bool | str | None = None
    api_version: str | None = None


class S3Store:
    """A `store.Store` for `s3://`."""

    def __init__(self, settings: S3Settings, retry_policy: RetryPolicy) -> None:
        """Makes the client, in 0.1 s, and finds the credentials.

        Raises:
          OSError: The settings, or those of AWS's own tools, are not valid.
        """
        self._retry_policy = retry_policy
        try:
            session = boto3.session.Session()
            self._is_anonymous = (
                not settings.aws_access_key_id and session.get_credentials() is None
            )
            self._client: Any = session.client(
                "s3",
                **dataclasses.asdict(settings),
                config=_config(retry_policy, self._is_anonymous),
            )
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise OSError(f"s3:// cannot be used: {error}") from error

    def open(self, uri: str, whole_bytes: int = WHOLE_BYTES) -> BinaryIO:
        return open_ranges(lambda start, end: self._fetch(uri, start, end), uri, whole_bytes)

    def info(self, uri: str) -> FileInfo:
        bucket, name = _object(uri)
        found = self._call(uri, self._client.head_object, Bucket=bucket, Key=name)
        modified = found["LastModified"].timestamp()
        return FileInfo(uri, int(found["ContentLength"]), str(found["ETag"]), "", modified)

    def list_prefix(self, prefix: str) -> Iterator[FileInfo]:
        bucket, name = split_uri(prefix)
        arguments = {"Bucket": bucket, "Prefix": name}
        while True:
            page = self._call(prefix, self._client.list_objects_v2, **arguments)
            for item in page.get("Contents", ()):
                yield FileInfo(f"s3://{bucket}/{item['Key']}", int(item["Size"]))
            if not page.get("NextContinuationToken"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def upload(self, uri: str, file: BinaryIO, num_bytes: int, replaces: str | None = None) -> None:
        bucket, name = _object(uri)
        file.seek(0)
        digest = hashlib.md5(usedforsecurity=False)
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)

        condition = {} if replaces is None else {"IfMatch": replaces}
        if replaces == "":
            condition = {"IfNoneMatch": "*"}

        def send() -> None:
            file.seek(0)
            self._once(
                uri,
                lambda: self._client.put_object(
                    Bucket=bucket,
                    Key=name,
                    Body=file,
                    ContentLength=num_bytes,
                    # The storage refuses bytes that differ, so that no object is cut short.
                    ContentMD5=base64.b64encode(digest.digest()).decode(),
                    **condition,
                ),
            )

        self._retry_policy.call(send, extra_seconds=num_bytes / _MIN_UPLOAD_BYTES_A_SECOND)

    def move(self, source: str, target: str) -> None:
        move_by_copy(self, lambda: self._copy(source, target), source, target)

    def _copy(self, source: str, target: str) -> None:
        from_bucket, from_name = _object(source)
        bucket, name = _object(target)
        origin = {"Bucket": from_bucket, "Key": from_name}
        self._call(source, self._client.copy_object, Bucket=bucket, Key=name, CopySource=origin)

    def delete(self, uri: str) -> None:
        bucket, name = _object(uri)
        self._call(uri, self._client.delete_object, Bucket=bucket, Key=name)

    def _fetch(self, uri: str, start: int, end: int) -> Part:
        bucket, name = _object(uri)

        def get() -> Part:
            answer = self._client.get_object(
                Bucket=bucket, Key=name, Range=f"bytes={start}-{end - 1}"
            )
            with answer["Body"] as body:
                data = body.read()
            found = parse_content_range(answer.get("ContentRange", ""))
            if found is None:
                return Part(data, 0, len(data), answer["ETag"])
            if len(data) != found[1] - found[0]:
                raise TransientError(f"{uri}: the answer is cut off")
            return Part(data, found[0], found[2], answer["ETag"])

        try:
            return self._retry_policy.call(lambda: self._once(uri, get))
        except _EmptyRangeError:
            return Part(b"", 0, 0)

    def _call(self, uri: str, function: Callable[..., Any], **arguments: Any) -> Any:
        request = functools.partial(function, **arguments)
        return self._retry_policy.call(lambda: self._once(uri, request))

    def _once(self, uri: str, request: Callable[[], _Result]) -> _Result:
        try:
            return request()
        except botocore.exceptions.ClientError as error:
            raise self._refusal(error, uri) from error
        except botocore.exceptions.SSLError as error:
            raise http.ssl_error(self._host, error) from error
        except botocore.parsers.ResponseParserError as error:
            raise TransientError(f"{self._host}: the answer is cut off") from error
        except _NO_ANSWER as error:
            raise http.no_answer(self._host, error) from error
        except botocore.exceptions.BotoCoreError as error:
            if "redentials" in type(error).__name__ + str(error):
                raise PermissionError(f"{uri}: {error}") from error
            raise OSError(f"{uri}: {error}") from error

    def _refusal(self, error: botocore.exceptions.ClientError, uri: str) -> OSError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        metadata = error.response.get("ResponseMetadata", {})
        status = int(metadata.get("HTTPStatusCode", 0))
        text = error.response.get("Error", {}).get("Message", "") or code
        if code == "NoSuchBucket":
            return NoBucketError(f"there is no bucket s3://{split_uri(uri)[0]}")
        if status == 404:
            return FileNotFoundError(f"{uri} does not exist")
        # 409: another conditional request for the same object is being served.
        if status in (409, 412):
            return ConflictError(f"{uri}: {text}")
        if status == 416:
            return _EmptyRangeError(f"{uri}: {text}")
        if status in RETRYABLE_STATUSES or code in _RETRYABLE_CODES:
            headers = CaseInsensitiveDict(metadata.get("HTTPHeaders", {}))
            return http.retryable(self._host, status, headers, text.encode())
        if status in (401, 403) or code in ("ExpiredToken", "InvalidToken", "InvalidAccessKeyId"):
            return PermissionError(f"{uri}: {self._forbidden(text)}")
        return OSError(f"{uri}: the storage answers {http.status_words(status)}: {text}")

    def _forbidden(self, text: str) -> str:
        if self._is_anonymous:
            return (
                "access is denied, and there are no AWS credentials; set AWS_ACCESS_KEY_ID and"
                " AWS_SECRET_ACCESS_KEY or AWS_PROFILE, or give --s3_access_key_id and"
                " --s3_secret_access_key"
            )
        return f"access is denied to your AWS credentials: {text}"

    @property
    def _host(self) -> str:
        return str(self._client.meta.endpoint_url)


class _EmptyRangeError(OSError):
    """The object has no byte in that range."""


def _config(retry_policy: RetryPolicy, is_anonymous: bool) -> Config:
    return Config(
        signature_version=UNSIGNED if is_anonymous else None,
        connect_timeout=retry_policy.connect_seconds,
        read_timeout=retry_policy.read_seconds,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=_NUM_CONNECTIONS,
        # Many storages with the protocol of S3 lack the newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _object(uri: str) -> tuple[str, str]:
    bucket, name = split_uri(uri)
    if not bucket or not name:
        raise FileNotFoundError(f"{uri} names no object (s3://BUCKET/NAME)")
    return bucket, name
