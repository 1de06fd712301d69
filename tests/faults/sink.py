"""A store that answers 204 only when the body is on its disk."""

import contextlib
import gzip
import threading
import zlib
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from tests.faults.journal import Journal, records


class DurableSink:
    """Keeps bodies in a journal.

    refuses: a status to answer instead, None: kept.  time_ms: what its Date says, None: the truth
    """

    def __init__(self, path: Path, port: int = 0, *, syncs: bool = True) -> None:
        self.path, self._journal = path, Journal(path, syncs=syncs)
        self.refuses: int | None = None
        self.time_ms: Callable[[], int] | None = None
        self.posts = 0
        self._lock = threading.Lock()
        sink = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(sink.takes(body))

            def do_GET(self) -> None:
                self.answer(204 if sink.refuses is None else sink.refuses)

            def answer(self, status: int) -> None:
                with contextlib.suppress(ConnectionError):  # who asked may be gone
                    self.send_response(status)
                    if status != 204:
                        self.send_header("Content-Length", "0")
                    self.end_headers()

            def date_time_string(self, timestamp: float | None = None) -> str:
                told = None if sink.time_ms is None else sink.time_ms() / 1000
                return formatdate(told, usegmt=True)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Door)
        self._server.daemon_threads = True
        self.port = self._server.server_port

    def takes(self, body: bytes) -> int:
        """Keep a body; give the status to answer."""
        with self._lock:
            self.posts += 1
            if self.refuses is not None:
                return self.refuses
            try:
                gzip.decompress(body)
            except (OSError, EOFError, zlib.error):
                return 400
            self._journal.append(body)
            return 204

    def serve(self) -> None:
        """Answer until killed."""
        self._server.serve_forever(poll_interval=0.05)

    def __enter__(self) -> "DurableSink":
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._journal.close()


def lines_in(path: Path) -> Iterator[str]:
    """Give the lines that a sink has kept, doubles too, in the order of their arrival."""
    for body in records(path):
        yield from gzip.decompress(body).decode("utf-8").splitlines()
