"""What the stand-ins of REST services share: a server on a free port of this machine."""

import dataclasses
import http.server
import json
import threading
from types import TracebackType
from typing import Any, TypeVar

_Service = TypeVar("_Service", bound="RestService")


@dataclasses.dataclass(frozen=True)
class Call:
    """A request as it came."""

    method: str
    path: str
    query: str
    body: bytes

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}" + (f"?{self.query}" if self.query else "")


class RestService:
    """Answers requests from a thread, and keeps them; use it in a `with` statement.

    Attributes:
      calls: What was asked for, in order.
      url: Of the server.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                path, _, query = self.path.partition("?")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                call = Call(self.command, path, query, body)
                service.calls.append(call)
                status, answer = service.answer(call)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self.url = f"http://localhost:{self._server.server_port}"

    def answer(self, call: Call) -> tuple[int, Any]:
        """Returns the status and what is sent back as JSON."""
        raise NotImplementedError

    def lines(self, *methods: str) -> list[str]:
        """Returns the calls of these methods, as `DELETE /v1/jars/beam.jar`."""
        return [call.line for call in list(self.calls) if call.method in methods]

    def __enter__(self: _Service) -> _Service:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
