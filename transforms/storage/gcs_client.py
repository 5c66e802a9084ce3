"""Google's client for Cloud Storage, and its credentials."""

import dataclasses
import logging
import os
from typing import Any

import google.auth
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Client

from transforms.storage import http

KEY_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_SCOPES = ("https://www.googleapis.com/auth/devstorage.full_control",)
# Without this the client requests each bucket's metadata, for traces that nobody collects: an extra
# request, and log entries where only objects may be read.
_NO_BUCKET_METADATA = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"


@dataclasses.dataclass(frozen=True)
class GcsSettings:
    """How to reach Google Cloud Storage.

    Attributes:
      emulator: Address of an emulator, used without credentials; empty for Google itself.
      impersonate: Service accounts: the last one is impersonated, the others delegate to it.
      scopes: OAuth scopes of the credentials.
    """

    emulator: str = ""
    impersonate: tuple[str, ...] = ()
    scopes: tuple[str, ...] = _SCOPES


def find_credentials(settings: GcsSettings) -> Credentials:
    """Returns the user's credentials, or anonymous ones.

    Raises:
      PermissionError: The configured credentials cannot be used.
    """
    if settings.emulator:
        return AnonymousCredentials()
    logger = logging.getLogger("google.auth")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns on every machine that is not Google's
    try:
        credentials, _ = google.auth.default(scopes=settings.scopes)
    except DefaultCredentialsError as error:
        if os.environ.get(KEY_VARIABLE):
            raise PermissionError(f"{KEY_VARIABLE}: {error}") from error
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


def make_client(emulator: str, credentials: Credentials) -> Any:
    """Returns Google's client for an emulator's address, or for Google if it is empty.

    Raises:
      PermissionError: The credentials cannot be used.
    """
    os.environ.setdefault(_NO_BUCKET_METADATA, "true")
    options = {}
    if emulator:
        address = emulator.rstrip("/")
        options["api_endpoint"] = address if "://" in address else f"http://{address}"
    # Anonymous credentials cannot be renewed, which google-auth would try after a refusal.
    renewed_at = () if isinstance(credentials, AnonymousCredentials) else (401,)
    session: Any = http.pooled(AuthorizedSession(credentials, refresh_status_codes=renewed_at))
    try:
        session.configure_mtls_channel()
        return Client(None, credentials, _http=session, client_options=options)
    except (GoogleAuthError, ValueError) as error:
        raise PermissionError(f"the Google credentials cannot be used: {error}") from error
