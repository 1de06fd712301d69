"""python -m tests.bench.edge.sink FOLDER: answer every POST with 204 and keep the bodies.

The port is written to FOLDER/port, the bodies to FOLDER/bodies, each after its length.
"""

import gzip
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def serve(folder: Path) -> None:
    lock = threading.Lock()
    bodies = (folder / "bodies").open("ab", buffering=0)

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                bodies.write(len(body).to_bytes(4, "big") + body)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    part = folder / "port.part"
    part.write_text(str(server.server_port), "ascii")
    part.rename(folder / "port")
    server.serve_forever()


def bodies_in(folder: Path) -> Iterator[str]:
    """Give the kept bodies as text, those of gzip members taken apart."""
    content = (folder / "bodies").read_bytes()
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        body = content[at + 4 : at + 4 + size]
        yield (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode("utf-8")
        at += 4 + size


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
