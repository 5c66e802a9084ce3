"""The backend of a path.

Each process makes a storage's client once and its threads share it. Its settings come from Beam's
flags where Beam has some, and else from the environment. Backends and Beam are imported when a path
needs them: most runs use one storage, and the refusal of a flag none.
"""

import functools
import importlib
import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from transforms.storage.retries import DEFAULT_RETRY, RetryPolicy
from transforms.storage.schemes import check_scheme, scheme_of
from transforms.storage.store import Store

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

    from transforms.storage.gcs_client import GcsSettings
    from transforms.storage.s3 import S3Settings

# What --s3_verify may say besides a file of certificates.
_VERIFY = {
    **dict.fromkeys(("none", "true", "1", "yes"), None),
    **dict.fromkeys(("false", "0", "no"), False),
}


def _made_once(make: Callable[..., Store]) -> Callable[..., Store]:
    """Caches what a function makes; threads that want the same at once wait for the first."""
    cached = functools.cache(make)
    one_at_a_time = threading.Lock()

    @functools.wraps(make)
    def made(*settings: Any) -> Store:
        with one_at_a_time:
            return cached(*settings)

    return made


def use_options(options: "PipelineOptions") -> None:
    """Applies Beam's flags for storages, which Beam itself does in workers and pipelines only."""
    from apache_beam.io.filesystems import FileSystems

    FileSystems.set_options(options)


def store_of(path: str, retry_policy: RetryPolicy = DEFAULT_RETRY) -> Store:
    """Returns the backend of a path that is not on this machine.

    Raises:
      OSError: No storage has the path's scheme, or its client cannot be made.
    """
    scheme = scheme_of(path)
    if scheme == "gs":
        return _gcs(_gcs_settings(), retry_policy)
    if scheme == "s3":
        return _s3(_s3_settings(), retry_policy)
    if scheme in ("https", "http"):
        return _web(retry_policy)
    return _beam(path)


def _beam(path: str) -> Store:
    from apache_beam.io.filesystem import BeamIOError
    from apache_beam.io.filesystems import FileSystems

    from transforms.storage.beam import BeamStore

    check_scheme(path)
    if scheme_of(path) == "azfs":
        try:
            importlib.import_module("azure.storage.blob")
        except ImportError as error:  # Beam says a NameError, in the middle of the work
            raise OSError(
                "azfs:// cannot be used: Azure's client is not installed; install"
                " apache-beam[azure]"
            ) from error
    try:
        FileSystems.get_filesystem(path)
    except (ValueError, BeamIOError) as error:
        details = getattr(error, "exception_details", None) or {path: error}
        reason = details.get(path, error)
        raise OSError(f"{scheme_of(path)}:// cannot be used: {reason}") from error
    return BeamStore()


@_made_once
def _gcs(settings: "GcsSettings", retry_policy: RetryPolicy) -> Store:
    from transforms.storage.gcs import GcsStore

    return GcsStore(settings, retry_policy)


@_made_once
def _s3(settings: "S3Settings", retry_policy: RetryPolicy) -> Store:
    from transforms.storage.s3 import S3Store

    return S3Store(settings, retry_policy)


@_made_once
def _web(retry_policy: RetryPolicy) -> Store:
    from transforms.storage.https import WebStore

    return WebStore(retry_policy)


def _options() -> "PipelineOptions":
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.options.value_provider import RuntimeValueProvider

    options = FileSystems._pipeline_options or RuntimeValueProvider.runtime_options
    if isinstance(options, Mapping):
        return PipelineOptions.from_dictionary(options)
    return options or PipelineOptions([])


def _gcs_settings() -> "GcsSettings":
    from apache_beam.options.pipeline_options import GoogleCloudOptions

    from transforms.storage.gcs_client import GcsSettings

    google = _options().view_as(GoogleCloudOptions)
    accounts = google.impersonate_service_account or ""
    return GcsSettings(
        emulator=os.environ.get("STORAGE_EMULATOR_HOST", ""),
        impersonate=tuple(filter(None, accounts.split(","))),
        scopes=tuple(google.gcp_oauth_scopes),
    )


def _s3_settings() -> "S3Settings":
    from apache_beam.options.pipeline_options import S3Options

    from transforms.storage.s3 import S3Settings

    s3 = _options().view_as(S3Options)
    return S3Settings(
        # Not from Beam's flag alone, as another address needs another client.
        endpoint_url=s3.s3_endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or None,
        region_name=s3.s3_region_name,
        aws_access_key_id=s3.s3_access_key_id,
        aws_secret_access_key=s3.s3_secret_access_key,
        aws_session_token=s3.s3_session_token,
        use_ssl=not s3.s3_disable_ssl,
        verify=_VERIFY.get(str(s3.s3_verify).lower(), s3.s3_verify),
        api_version=s3.s3_api_version,
    )
