"""Which storage a path is on, how it is reached, and whether it answers.

A storage's client is made once in each process and shared by its threads. How to reach it is said
by Beam's flags where Beam has some, and else by the environment.
"""

import contextlib
import difflib
import functools
import io
import os
import re
import uuid
from collections.abc import Mapping

from apache_beam.io.filesystem import BeamIOError, FileSystem
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, S3Options
from apache_beam.options.value_provider import RuntimeValueProvider

from transforms.corpus import listing
from transforms.storage.beam import BeamStore
from transforms.storage.gcs import GcsSettings, GcsStore
from transforms.storage.https import WebStore
from transforms.storage.retries import DEFAULT_RETRY, PREFLIGHT_RETRY, RetryPolicy
from transforms.storage.store import Store, split_uri

_OWN_SCHEMES = ("gs", "s3", "https", "http")
_SAME_AS = {"gcs": "gs", "gc": "gs", "google": "gs", "s3a": "s3", "s3n": "s3", "aws": "s3"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/+")
_AT_ONCE = 16 * 2**20


def use_options(options: PipelineOptions) -> None:
    """Takes Beam's flags for storages, which Beam does itself in workers and with a pipeline."""
    FileSystems.set_options(options)


def scheme_of(path: str) -> str:
    """Returns what stands before `://`."""
    return path.partition("://")[0]


def store_of(path: str, retry_policy: RetryPolicy = DEFAULT_RETRY) -> Store:
    """Returns the storage of a path that is not on this machine.

    Args:
      path: With its scheme.
      retry_policy: How long is waited.

    Raises:
      OSError: No storage has this scheme, or it cannot be used.
    """
    scheme = scheme_of(path)
    if scheme == "gs":
        return _gcs(_gcs_settings(), retry_policy)
    if scheme == "s3":
        return _s3(_s3_arguments(), retry_policy)
    if scheme in ("https", "http"):
        return _web(retry_policy)
    if scheme not in _beam_schemes():
        raise OSError(f"no storage is known for {scheme}://{_nearest(scheme)}")
    try:
        FileSystems.get_filesystem(path)
    except (ValueError, BeamIOError) as error:
        details = getattr(error, "exception_details", None) or {path: error}
        raise OSError(f"{scheme}:// cannot be used: {details.get(path, error)}") from error
    return BeamStore()


def check_reachable(path: str, to_write: bool = False) -> None:
    """Tells within 30 s what is wrong with the storage of a path; what is absent there is not.

    Args:
      path: A file, folder or glob, anywhere.
      to_write: It is a folder to write to: a file is made there and deleted.

    Raises:
      OSError: Says what is wrong, and the way out.
    """
    check_spelling(path)
    if "://" not in path:
        return
    scheme = scheme_of(path)
    store = store_of(path, PREFLIGHT_RETRY)
    if scheme in ("gs", "s3"):
        _check_bucket(store, path)
    elif not to_write:
        # A host that refuses to show a folder may still give the files in it.
        with contextlib.suppress(FileNotFoundError, PermissionError, io.UnsupportedOperation):
            store.size(path)
    if to_write:
        probe = f"{path.rstrip('/')}/.probe-{uuid.uuid4().hex}"
        store.upload(probe, io.BytesIO(), 0)
        store.delete(probe)


def check_spelling(path: str) -> None:
    """Refuses a path whose scheme is none, or misspelt.

    Raises:
      OSError: It names the nearest.
    """
    match = _SCHEME.match(path)
    if match is None:
        return
    scheme = match[1]
    if "://" not in path:
        if not os.path.lexists(f"{scheme}:"):
            raise OSError(f"there is no folder {scheme}:{_nearest(scheme, always=True)}")
    elif scheme not in (*_OWN_SCHEMES, *_beam_schemes()):
        raise OSError(f"no storage is known for {scheme}://{_nearest(scheme)}")


def _check_bucket(store: Store, path: str) -> None:
    bucket, name = split_uri(path)
    if not bucket:
        raise OSError(f"{path} names no bucket")
    begins = listing.GLOB_CHARACTERS.split(path, maxsplit=1)[0]
    try:
        next(store.list_below(begins), None)
    except PermissionError as denied:
        # Single files may be open to everybody where the bucket's list is not.
        if not name or listing.is_glob(path):
            raise
        try:
            store.size(path)
        except OSError:
            raise denied from None


def _nearest(scheme: str, always: bool = False) -> str:
    known = list(dict.fromkeys([*_OWN_SCHEMES, *_beam_schemes()]))
    lower = scheme.lower()
    near = [_SAME_AS.get(lower, lower)]
    if near[0] not in known:
        near = difflib.get_close_matches(lower, known, n=2, cutoff=0.5)
    if near and (near[0] != scheme or always):
        return f"; did you mean {' or '.join(f'{each}://' for each in near)}?"
    return f" (there are: {', '.join(f'{each}://' for each in _OWN_SCHEMES)})"


def _beam_schemes() -> list[str]:
    return [each.scheme() for each in FileSystem.get_all_subclasses() if each.scheme()]


def _options() -> PipelineOptions:
    options = FileSystems._pipeline_options or RuntimeValueProvider.runtime_options
    if isinstance(options, Mapping):
        return PipelineOptions.from_dictionary(options)
    return options or PipelineOptions([])


def _gcs_settings() -> GcsSettings:
    google = _options().view_as(GoogleCloudOptions)
    accounts = google.impersonate_service_account or ""
    return GcsSettings(
        emulator=os.environ.get("STORAGE_EMULATOR_HOST", ""),
        impersonate=tuple(filter(None, accounts.split(","))),
        scopes=tuple(google.gcp_oauth_scopes),
    )


def _s3_arguments() -> tuple[tuple[str, object], ...]:
    s3 = _options().view_as(S3Options)
    is_unverified = str(s3.s3_verify).lower() in ("false", "0", "no")
    is_default = s3.s3_verify is None or str(s3.s3_verify).lower() in ("true", "1", "yes")
    return (
        # Not only Beam's flag: another address is another client.
        ("endpoint_url", s3.s3_endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or None),
        ("region_name", s3.s3_region_name),
        ("access_key_id", s3.s3_access_key_id),
        ("secret_access_key", s3.s3_secret_access_key),
        ("session_token", s3.s3_session_token),
        ("use_ssl", not s3.s3_disable_ssl),
        ("verify", False if is_unverified else None if is_default else s3.s3_verify),
        ("api_version", s3.s3_api_version),
    )


@functools.cache
def _gcs(settings: GcsSettings, retry_policy: RetryPolicy) -> Store:
    return GcsStore(settings, retry_policy)


@functools.cache
def _s3(arguments: tuple[tuple[str, object], ...], retry_policy: RetryPolicy) -> Store:
    # Takes 0.3 s to import, and most runs have no s3://.
    from transforms.storage.s3 import S3Settings, S3Store

    return S3Store(S3Settings(**dict(arguments)), retry_policy)  # type: ignore[arg-type]


@functools.cache
def _web(retry_policy: RetryPolicy) -> Store:
    return WebStore(retry_policy)
