"""Downloads of models and of what belongs to them, from networks and hubs that fail at times."""

from pathlib import Path
from urllib.parse import urlsplit

import requests

from transforms.model.errors import ModelError
from transforms.model.sources.caching import require_disk_space
from transforms.model.sources.names import is_archive
from transforms.model.sources.writing import MAX_BYTES
from transforms.storage import http
from transforms.storage.retries import DOWNLOAD_RETRY


def archive_url(url: str) -> str:
    """Returns the URL under which a hub serves a model's archive.

    Hubs take the wish for an archive as a query, as tensorflow_hub sends it. A URL that ends as
    archives do is one already, and a signed one must not be changed.
    """
    parts = urlsplit(url)
    if is_archive(parts.path) or "tf-hub-format=" in parts.query:
        return url
    query = f"{parts.query}&" if parts.query else ""
    return parts._replace(query=f"{query}tf-hub-format=compressed", fragment="").geturl()


def download(url: str, target: Path, max_bytes: int = MAX_BYTES) -> None:
    """Downloads a model's archive, see `fetch`.

    Args:
      url: The model's URL, as a hub takes it.
      target: The file to write, new or left by an earlier attempt.
      max_bytes: Limit of the archive's size.
    """
    hint = "Download it where the network allows, and name the archive or its folder with --model"
    fetch(url, target, hint, max_bytes, archive_url(url))


def fetch(url: str, target: Path, hint: str, max_bytes: int, request_url: str = "") -> None:
    """Downloads a file, through the proxy of the environment if there is one.

    Resets, stalls, incomplete bodies and overloaded servers are retried.

    Args:
      url: http or https; redirects are followed.
      target: The file to write, new or left by an earlier attempt.
      hint: What to do if the download fails, a sentence without its full stop.
      max_bytes: Limit of the file's size.
      request_url: The URL to request, where it differs.

    Raises:
      ModelError: The download failed, or the file does not fit on the disk.
      OSError: The file cannot be written.
    """

    def receive() -> None:
        with http.stream(session, request_url or url, DOWNLOAD_RETRY) as response:
            http.check_status(response.status_code)
            num_bytes = response.raw.length_remaining or 0
            with require_disk_space(num_bytes, target.parent, url), target.open("wb") as file:
                for chunk in http.chunks(response, DOWNLOAD_RETRY):
                    if file.tell() + len(chunk) > max_bytes:
                        raise ModelError(f"{url} gives more than {max_bytes} bytes")
                    file.write(chunk)

    try:
        with requests.Session() as session:
            DOWNLOAD_RETRY.call(receive)
    except OSError as error:
        if error.errno is not None:  # it is the disk's: the client's errors have words only
            raise
        raise ModelError(f"cannot fetch {url}: {error}. {hint}") from error
