"""gcp-storage-emulator, with generations of objects that are read, and required of those written.

It lacks both.
"""

import sys
from http import HTTPStatus
from typing import Any

from gcp_storage_emulator import server
from gcp_storage_emulator.__main__ import main
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects

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


def _insert(request: Any, response: Any, storage: Any, *args: Any, **kwargs: Any) -> None:
    required = request.query.get("ifGenerationMatch")
    if required:
        name = (request.query.get("name") or [None])[0] or request.data["meta"]["name"]
        try:
            found = _get_file_obj(storage, request.params["bucket_name"], name)["generation"]
        except NotFound:
            found = "0"
        if found != required[0]:
            response.status = HTTPStatus.PRECONDITION_FAILED
            response.json({"error": {"code": 412, "message": "conditionNotMet"}})
            return
    objects.insert(request, response, storage, *args, **kwargs)


if __name__ == "__main__":
    server.server.HTTPServer.request_queue_size = 128
    server.Storage.get_file_obj = _looked_up
    server.Response.write_file = _written
    for _, handlers in server.HANDLERS:
        for method, handler in handlers.items():
            if handler is objects.insert:
                handlers[method] = _insert
    sys.exit(main())
