"""A reverse proxy that counts requests and spoils a share of the answers."""

import contextlib
import http.client
import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

DROP = "drop"
STALL = "stall"
TRUNCATE = "truncate"
UNAVAILABLE = "503"
# The request reaches the storage, and its answer does not come back.
LOST_ANSWER = "lost answer"
ALL = (DROP, TRUNCATE, UNAVAILABLE, LOST_ANSWER)
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class FaultProxy(ThreadingHTTPServer):
    """A proxy before one server.

    Attributes:
      address: Of the proxy.
      requests: Method and path of each.
      num_body_bytes: Of the answers.
      num_faults: So far.
      num_signed: Requests with credentials.
      every: Every n-th request is spoilt; none if it is 0.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, target: str, faults: Sequence[str] = (), every: int = 0, stall_seconds: float = 60
    ) -> None:
        """Listens on a free port.

        Args:
          target: Address of the server.
          faults: Taken in turn.
          every: Every n-th request is spoilt; none if it is 0.
          stall_seconds: How long a stalled connection stays open.
        """
        super().__init__(("127.0.0.1", 0), _Handler)
        parts = urlsplit(target)
        self.target = (parts.hostname or "", parts.port or 80)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[tuple[str, str]] = []
        self.num_body_bytes = 0
        self.num_faults = 0
        self.num_signed = 0
        self.stall_seconds = stall_seconds
        self.every = every
        self._faults = itertools.cycle(faults or [""])
        self._lock = threading.Lock()

    def count(self, method: str, path: str, is_signed: bool) -> str:
        """Counts a request and returns its fault, or nothing."""
        with self._lock:
            self.num_signed += is_signed
            self.requests.append((method, path))
            if not self.every or len(self.requests) % self.every:
                return ""
            self.num_faults += 1
            return next(self._faults)

    def count_body(self, num_bytes: int) -> None:
        """Counts bytes of an answer."""
        with self._lock:
            self.num_body_bytes += num_bytes

    def handle_error(self, *_: object) -> None:
        """Says nothing: clients may go away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultProxy

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self._request_body()
        fault = self.server.count(
            self.command, self.path, is_signed="Authorization" in self.headers
        )
        if fault == STALL:
            time.sleep(self.server.stall_seconds)
        if fault in (STALL, DROP):
            self._reset()
        elif fault == UNAVAILABLE:
            self._answer(503, [("Retry-After", "0")], b"come again later")
        else:
            status, headers, answer = self._ask(body)
            if fault == LOST_ANSWER:
                self._reset()
            else:
                self._answer(status, headers, answer, is_cut=fault == TRUNCATE)

    def _request_body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(*self.server.target, timeout=300)
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in {*_HOP_BY_HOP, "expect"}
        }
        headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        kept = [each for each in answer.getheaders() if each[0].lower() not in _HOP_BY_HOP]
        if self.command == "HEAD":
            kept.append(("Content-Length", answer.getheader("Content-Length", "0")))
        connection.close()
        return answer.status, kept, data

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, is_cut: bool = False
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = body[: len(body) // 2] if is_cut else body
        # Before, because the client goes on as soon as it has them.
        self.server.count_body(len(sent))
        self.wfile.write(sent)
        if is_cut and body:
            self.wfile.flush()
            self._shut()

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)  # closes with a reset
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._shut()

    def _shut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def running(
    target: str, faults: Sequence[str] = (), every: int = 0, stall_seconds: float = 60
) -> Iterator[FaultProxy]:
    """Runs a proxy while the block lasts."""
    proxy = FaultProxy(target, faults, every, stall_seconds)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
