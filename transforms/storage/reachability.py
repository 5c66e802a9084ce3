"""Whether a storage answers."""

import contextlib
import io
import uuid

from transforms.storage.choosing import store_of
from transforms.storage.globs import glob_prefix, is_glob
from transforms.storage.guarding import guarded
from transforms.storage.retries import PREFLIGHT_RETRY
from transforms.storage.schemes import check_scheme, is_local, scheme_of
from transforms.storage.store import Store, split_uri


@guarded
def check_reachable(path: str, to_write: bool = False) -> None:
    """Checks within 30 s that the storage of a path answers; the path itself may be absent.

    Args:
      path: A file, folder or glob, anywhere.
      to_write: The path is an output folder: a file is created there and deleted.

    Raises:
      OSError: The storage does not answer or refuses; the message has a hint.
    """
    check_scheme(path)
    if is_local(path):
        return
    store = store_of(path, PREFLIGHT_RETRY)
    if scheme_of(path) in ("gs", "s3"):
        _check_bucket(store, path)
    elif not to_write:
        # A host that refuses to show a folder may still give the files in it.
        with contextlib.suppress(FileNotFoundError, PermissionError, io.UnsupportedOperation):
            store.info(path)
    if to_write:
        probe = f"{path.rstrip('/')}/.probe-{uuid.uuid4().hex}"
        store.upload(probe, io.BytesIO(), 0)
        store.delete(probe)


def _check_bucket(store: Store, path: str) -> None:
    bucket, name = split_uri(path)
    if not bucket:
        raise OSError(f"{path} names no bucket")
    try:
        next(store.list_prefix(glob_prefix(path)), None)
    except PermissionError as denied:
        # Single files may be public where the bucket's list is not.
        if not name or is_glob(path):
            raise
        try:
            store.info(path)
        except OSError:
            raise denied from None
