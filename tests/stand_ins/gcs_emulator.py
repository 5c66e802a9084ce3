"""gcp-storage-emulator, with the generation of objects that are read, which it lacks."""

import sys
from typing import Any

from gcp_storage_emulator import server
from gcp_storage_emulator.__main__ import main

_write_file = server.Response.write_file
_get_file_obj = server.Storage.get_file_obj


class _Generation:
    """Of the last object that was looked up: the emulator has one thread."""

    last = ""


def _looked_up(self: Any, bucket: str, name: str) -> Any:
    found = _get_file_obj(self, bucket, name)
    _Generation.last = found["generation"]
    return found


def _written(self: Any, content: Any, content_type: str = "application/octet-stream") -> None:
    self["x-goog-generation"] = _Generation.last
    _write_file(self, content, content_type)


if __name__ == "__main__":
    server.server.HTTPServer.request_queue_size = 128
    server.Storage.get_file_obj = _looked_up
    server.Response.write_file = _written
    sys.exit(main())
