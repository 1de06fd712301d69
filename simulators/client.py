"""A small client of the server's API, for the demo, tests and benchmarks."""

import json
from typing import Any
from urllib.parse import urlencode

import urllib3


class ServerError(RuntimeError):
    """The server refused a request."""


class ServerClient:
    """Asks one server."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(maxsize=2, timeout=urllib3.Timeout(total=300.0))

    def is_up(self) -> bool:
        """Say whether the server answers."""
        try:
            url = f"{self.url}/health"
            return self._pool.request("GET", url, retries=False, timeout=2.0).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def get(self, path: str, **query: object) -> Any:
        """Give the JSON of a path."""
        return json.loads(self.get_bytes(path, **query))

    def get_bytes(self, path: str, **query: object) -> bytes:
        """Give the body of a path; ServerError unless 200."""
        text = f"?{urlencode(query)}" if query else ""
        answer = self._pool.request("GET", f"{self.url}{path}{text}", headers=self._headers)
        return _checked(path, answer)

    def backfill(self, start_ms: int, end_ms: int) -> dict[str, int]:
        """Recompute rollups and judge a span."""
        body = json.dumps({"start_ms": start_ms, "end_ms": end_ms}).encode()
        path = "/api/v1/jobs/backfill"
        answer = self._pool.request("POST", self.url + path, body=body, headers=self._headers)
        done: dict[str, int] = json.loads(_checked(path, answer))
        return done


def _checked(path: str, answer: urllib3.BaseHTTPResponse) -> bytes:
    if answer.status != 200:
        said = answer.data[:300].decode("utf-8", "replace")
        raise ServerError(f"{path}: answer {answer.status}: {said}")
    return answer.data
