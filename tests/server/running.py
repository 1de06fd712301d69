"""A real server on a free port, in this process, on real files."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
import yaml

from contract.clock import Clock, SystemClock
from server.app import create_app, open_works
from server.config import load_config
from server.jobs.works import Works
from simulators.ports import free_port
from simulators.site_files import write_site

TOKEN = "right-token"


@dataclass(frozen=True, slots=True)
class FixedClock:
    """A wall clock that stands still."""

    at_ms: int

    def now_ms(self) -> int:
        """Give the fixed time."""
        return self.at_ms

    def monotonic_s(self) -> float:
        """Give the real monotonic time."""
        return SystemClock().monotonic_s()


@dataclass(frozen=True, slots=True)
class Running:
    """A running server and a client of it."""

    url: str
    http: httpx.Client
    works: Works

    def write(self, body: bytes | str, token: str = TOKEN, **headers: str) -> httpx.Response:
        """Post line protocol."""
        return self.http.post(
            "/api/v2/write?org=o&bucket=b&precision=ms",
            content=body,
            headers={"Authorization": f"Token {token}", **headers},
        )


@contextmanager
def running_server(folder: Path, clock: Clock | None = None, **extra: object) -> Iterator[Running]:
    """Give a server on the simulated site's files."""
    write_site(folder)
    (folder / "write-tokens").write_text(TOKEN)
    port = free_port()
    document = {
        "site_file": "./site.yaml",
        "store": {"url": "duckdb:///./r.duckdb"},
        "state": {"url": "sqlite:///./s.db"},
        "listen": {"host": "127.0.0.1", "port": port},
        "write_tokens_file": "./write-tokens",
        **extra,
    }
    (folder / "server.yaml").write_text(yaml.safe_dump(document), "utf-8")
    config = load_config(folder / "server.yaml")
    works = open_works(config)
    app = create_app(config, works, clock)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", access_log=False)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, timeout=60) as http:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        try:
            yield Running(url, http, works)
        finally:
            server.should_exit = True
            thread.join()
