"""A web server of a test, good or bad: it can send errors, cut answers off, or send them slowly."""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar


class WebServer(ThreadingHTTPServer):
    """A server of which subclasses define `answer`.

    Attributes:
      url: Address of the server.
      statuses: The statuses of the next answers; 200 is an answer as usual.
      num_cut: Number of next answers of which half is missing.
      pause_seconds: Pause between parts of an answer.
      num_parts: Number of parts sent so far.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.statuses: list[int] = []
        self.num_cut = 0
        self.pause_seconds = 0.0
        self.num_parts = 0

    def answer(self, request: "Request") -> None:
        """Answers a request by its `reply`."""
        raise NotImplementedError

    def next_status(self) -> int:
        return self.statuses.pop(0) if self.statuses else 200

    def handle_error(self, *_: object) -> None:
        """Says nothing: clients may go away."""


class Request(BaseHTTPRequestHandler):
    """A request, and how it is answered."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: WebServer

    def do_GET(self) -> None:
        self.server.answer(self)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the names for http.server

    def reply(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """Sends an answer; without a length if `Content_Length` is empty."""
        self.send_response_only(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        if headers.get("Content_Length") == "":
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.num_cut:
            self.server.num_cut -= 1
            body = body[: len(body) // 2]
            self.close_connection = True
        for start in range(0, len(body), 10_000):
            self.wfile.write(body[start : start + 10_000])
            self.server.num_parts += 1
            time.sleep(self.server.pause_seconds)

    def reply_range(self, data: bytes, **headers: str) -> None:
        """Sends the requested part of a file."""
        start, end = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        part = data[start : end + 1]
        place = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
        if part:
            self.reply(206, part, Content_Range=place, **headers)
        else:
            self.reply(416, b"", Content_Range=f"bytes */{len(data)}", **headers)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


_Server = TypeVar("_Server", bound=WebServer)


@contextlib.contextmanager
def running(server: _Server) -> Iterator[_Server]:
    """Runs a server while the block lasts."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
