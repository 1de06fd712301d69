"""A loopback door to the simulator: switch faults, count polls."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from contract.clock import SystemClock
from simulators.devices import DeviceSet, Fault


class ControlServer:
    """GET /polls; POST /faults {"device": "E03", "fault": "silent"}."""

    def __init__(self, devices: DeviceSet) -> None:
        door = type("Door", (_Door,), {"devices": devices})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), door)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "ControlServer":
        """Start answering."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Door(BaseHTTPRequestHandler):
    devices: DeviceSet

    def do_GET(self) -> None:
        if self.path == "/polls":
            self._answer(200, self.devices.polls())
        else:
            self._answer(404, {"message": "expected /polls or /faults"})

    def do_POST(self) -> None:
        try:
            asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            fault = Fault(asked["fault"])
            self.devices.set_fault(asked["device"], fault, SystemClock().now_ms())
        except (ValueError, KeyError, TypeError) as error:
            kinds = ", ".join(f.value for f in Fault)
            said = f'expected {{"device": <id>, "fault": one of {kinds}}}, got {error!r}'
            self._answer(400, {"message": said})
        else:
            self._answer(200, {"device": asked["device"], "fault": fault.value})

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
