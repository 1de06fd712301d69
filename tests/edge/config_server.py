"""A real HTTP server with an agent's configuration route, and a key to sign with."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Signer:
    """Signs configurations; its public key as a file."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public = base64.b64encode(self._key.public_key().public_bytes_raw())

    def write(self, path: Path) -> Path:
        path.write_bytes(self.public + b"\n")
        return path

    def document(self, config: str, serial: int = 1, agent: str = "a1") -> dict[str, Any]:
        content = f"{agent}\n{serial}\n1767225600000\n{config}".encode()
        return {
            "agent": agent,
            "serial": serial,
            "issued_at_ms": 1_767_225_600_000,
            "config": config,
            "signature": base64.b64encode(self._key.sign(content)).decode(),
        }


class ConfigServer:
    """Answers GET with `document` (304 for its serial, 404 without one), keeps what is reported."""

    def __init__(self) -> None:
        self.document: dict[str, Any] | bytes | None = None
        self.status = 200
        self.states: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str | None, str | None]] = []
        it = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                tag = self.headers["If-None-Match"]
                it.asked.append((self.path, tag, self.headers["Authorization"]))
                status, body = it.answer(tag)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except ConnectionError:  # too long for it
                    self.close_connection = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.endswith("/config/state"):
                    it.states.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, tag: str | None) -> tuple[int, bytes]:
        if self.status != 200:
            return self.status, b""
        if self.document is None:
            return 404, b""
        if isinstance(self.document, bytes):
            return 200, self.document
        if tag == f'"{self.document["serial"]}"':
            return 304, b""
        return 200, json.dumps(self.document).encode()

    def reported(self) -> list[tuple[int, str]]:
        return [(s["serial"], s["state"]) for s in self.states]

    def __enter__(self) -> "ConfigServer":
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
