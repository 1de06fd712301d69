"""Local servers that answer as group robots do: their limits, and 200 with an error code."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEYWORD, PER_MINUTE, BLOCKED_S = "节能提醒", 20, 600.0


@dataclass
class Robot:
    """One robot; `clock` tells its seconds, so that tests need not wait for a minute."""

    dialect: str  # wecom, dingtalk, feishu
    clock: Callable[[], float] = time.monotonic
    url: str = ""
    taken: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    blocked_until: float = 0.0
    broken: tuple[int, bytes] | None = None  # an answer it gives to everything
    seen: Callable[[str], None] = lambda _: None
    answer_s: float = 0.0  # between taking a message and saying so

    def answer(self, payload: dict[str, Any]) -> tuple[int, bytes]:
        """Take or refuse a message as the real one does."""
        self.calls.append(payload)
        if self.broken is not None:
            return self.broken
        text = self._text(payload)
        refusal = self._refusal(text)
        if refusal is not None:
            return 200, refusal
        self.taken.append(text)
        self.seen(text)
        time.sleep(self.answer_s)
        if self.dialect == "feishu":
            return 200, json.dumps({"code": 0, "msg": "success", "data": {}}).encode()
        return 200, json.dumps({"errcode": 0, "errmsg": "ok"}).encode()

    def _text(self, payload: dict[str, Any]) -> str:
        part = payload["content"] if self.dialect == "feishu" else payload["text"]
        return str(part["text" if self.dialect == "feishu" else "content"])

    def _refusal(self, text: str) -> bytes | None:
        now = self.clock()
        self.times = [*(t for t in self.times if t > now - 60), now]
        if now >= self.blocked_until and len(self.times) > PER_MINUTE:
            self.blocked_until = now + BLOCKED_S
        if now < self.blocked_until:
            return self._error(45009, 130101, 11232, "send too fast, api freq out of limit")
        if KEYWORD not in text:
            return self._error(44004, 310000, 19024, "keywords not in content")
        if self.dialect == "wecom" and len(text.encode()) > 2048:
            return self._error(40058, 0, 0, "content exceed max length")
        return None

    def _error(self, wecom: int, dingtalk: int, feishu: int, text: str) -> bytes:
        if self.dialect == "feishu":
            return json.dumps({"code": feishu, "msg": text, "data": {}}).encode()
        code = wecom if self.dialect == "wecom" else dingtalk
        return json.dumps({"errcode": code, "errmsg": text}).encode()


@contextmanager
def running_robot(dialect: str, clock: Callable[[], float] = time.monotonic) -> Iterator[Robot]:
    """Give a robot that listens on a free port of this machine."""
    robot = Robot(dialect, clock)

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            robot.queries.append(self.path)
            status, body = robot.answer(payload)
            with suppress(ConnectionError):  # who asked was killed
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    robot.url = f"http://127.0.0.1:{server.server_address[1]}/send?key=k1"
    try:
        yield robot
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
