"""What `--model` may name, checked without TensorFlow, a hub or a storage."""

import os
from urllib.parse import urlsplit

from transforms.model.errors import ModelError

DEFAULT_MODEL = "https://tfhub.dev/google/vggish/1"
ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
_ALLOWED = (
    "allowed: a hub URL, or a SavedModel folder or an archive of one"
    f" ({' '.join(ARCHIVE_SUFFIXES)}), on this machine or on a storage"
)


def is_url(path: str) -> bool:
    """Tells whether a path is fetched from a hub or another web server."""
    return path.startswith(("http://", "https://"))


def is_archive(model: str) -> bool:
    """Tells whether a path names an archive, by its suffix."""
    return model.endswith(ARCHIVE_SUFFIXES)


def check_model_name(model: str, on_workers: bool = False) -> None:
    """Refuses what cannot be a model; a model on a storage or a hub may still be absent.

    Args:
      model: URL or path, as given to `--model`.
      on_workers: The workers are other machines: a path that is absent here may exist there.

    Raises:
      ModelError: `model` is neither a URL, nor an existing SavedModel folder or archive.
    """
    if is_url(model):
        _check_url(model)
    elif "://" in model:
        return
    elif not os.path.exists(model):
        if not on_workers:
            raise ModelError(f"{model!r} does not exist; {_ALLOWED}")
    elif os.path.isdir(model):
        if not os.path.isfile(os.path.join(model, "saved_model.pb")):
            raise ModelError(f"the folder {model!r} holds no saved_model.pb; {_ALLOWED}")
    elif not is_archive(model):
        raise ModelError(f"{model!r} is neither a folder nor an archive; {_ALLOWED}")


def _check_url(url: str) -> None:
    try:
        url.encode()  # fails for surrogates, with which Python stands for bytes that are no text
        host = urlsplit(url).hostname
    except ValueError as error:
        raise ModelError(f"{url!r} is not a URL: {error}; {_ALLOWED}") from error
    if not host:
        raise ModelError(f"{url!r} is not a URL: it names no host; {_ALLOWED}")
