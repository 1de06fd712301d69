"""A real HTTP server that answers as scripted and keeps what it took."""

import contextlib
import gzip
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

Answer = tuple[int, dict[str, str], bytes]


class Sink:
    """Answers each POST by `script(lines)`; lines of bodies answered 204 are kept."""

    def __init__(
        self,
        script: Callable[[list[str]], Answer],
        delay_s: float = 0.0,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.script = script
        self.authorize: Callable[[str], bool] = lambda told: True
        self.kept: list[str] = []
        self.posts = 0
        sink = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.posts += 1
                try:
                    lines = [ln for ln in gzip.decompress(body).decode().split("\n") if ln]
                except (OSError, EOFError, zlib.error):
                    lines = []
                    answer: Answer = (400, {}, b'{"message":"expected gzip"}')
                else:
                    is_known = sink.authorize(self.headers.get("Authorization", ""))
                    answer = sink.script(lines) if is_known else (401, {}, b"")
                status, headers, content = answer
                if status == 0:
                    time.sleep(delay_s)
                    status = 204
                if status == 204:
                    sink.kept += lines
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                with contextlib.suppress(ConnectionError):  # who waited too long is gone
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Sink":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def data(self) -> list[str]:
        """Give the kept lines without receipts."""
        return [ln for ln in self.kept if not ln.startswith("delivery")]


@contextlib.contextmanager
def dripping_server() -> Iterator[str]:
    """Give the URL of a server that answers a byte at a time until its connection is broken.

    It waits for that: whoever has asked must not leave the connection behind.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=_drip, args=(listening,), daemon=True)
        server.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.join()


def _drip(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection, contextlib.suppress(OSError):
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nDate: ")
        while True:
            connection.sendall(b"a")
            time.sleep(0.02)
