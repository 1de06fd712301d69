"""Debian's influxd 1.6.7 behind a small door that answers as InfluxDB 2 does for writing.

A real InfluxQL engine, WAL and TSM; the door is ours: it turns /api/v2/write into /write and
leaves everything else as it is.  Tokens, organisations and buckets are not tested this way.
"""

import http.client
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from simulators.ports import free_port

_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{dir}/meta"
[data]
  dir = "{dir}/data"
  wal-dir = "{dir}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
[logging]
  level = "error"
"""
_PRECISION = {"us": "u", "ns": "n", "": "n"}


def _door(port: int) -> type[BaseHTTPRequestHandler]:
    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self._pass_on()

        def do_GET(self) -> None:
            self._pass_on()

        def _pass_on(self) -> None:
            parts = urlsplit(self.path)
            path, query = parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}
            if path == "/api/v2/write":
                given = query.get("precision", "")
                path = "/write"
                query = {"db": query["bucket"], "precision": _PRECISION.get(given, given)}
            headers = {
                k: v for k, v in self.headers.items() if k.lower() in {"content-encoding", "accept"}
            }
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            link.request(self.command, f"{path}?{urlencode(query)}", body or None, headers)
            answer = link.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name in ("Content-Type", "X-Influxdb-Version", "Content-Encoding"):
                if answer.headers.get(name):
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            link.close()

        def log_message(self, *_: object) -> None:
            pass

    return Door


class Influxd:
    """A running engine; `url` is the door's."""

    def __init__(self, port: int, url: str) -> None:
        self._port, self.url = port, url

    def create(self, database: str) -> None:
        """Create a database (a bucket, seen through the door)."""
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        query = urlencode({"q": f'CREATE DATABASE "{database}"'})
        link.request("POST", f"/query?{query}")
        assert link.getresponse().read()


@contextmanager
def influxd(folder: Path) -> Iterator[Influxd]:
    """Give an influxd on free loopback ports, ended by its pid afterwards."""
    port, rpc = free_port(), free_port()
    config = folder / "influxd.conf"
    config.write_text(_CONFIG.format(dir=folder, http=port, rpc=rpc))
    with (folder / "influxd.log").open("wb") as log:
        process = subprocess.Popen(
            ["influxd", "-config", str(config)], stdout=log, stderr=subprocess.STDOUT
        )
    door = ThreadingHTTPServer(("127.0.0.1", 0), _door(port))
    threading.Thread(target=door.serve_forever, daemon=True).start()
    try:
        _wait(port, process)
        yield Influxd(port, f"http://127.0.0.1:{door.server_port}")
    finally:
        door.shutdown()
        door.server_close()
        process.terminate()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None, "influxd ended"
        try:
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            link.request("GET", "/ping")
            link.getresponse().read()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("influxd did not come up")
