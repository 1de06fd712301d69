"""Setting up InfluxDB 2 and Grafana, against scripted answers in their own shapes."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from server.cli import main

Script = Callable[[str, str, dict[str, Any]], tuple[int, Any]]
ROOT = Path(__file__).parents[2]


@contextmanager
def scripted(script: Script) -> Iterator[tuple[str, list[tuple[str, str, dict[str, Any]]]]]:
    """Give a server's URL and the requests it was sent."""
    asked: list[tuple[str, str, dict[str, Any]]] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = (self.command, self.path.split("?")[0], json.loads(body or b"{}"))
            asked.append(request)
            status, content = script(*request)
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def influx(method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    bucket = {"id": "b1", "name": "energy", "orgID": "o1", "retentionRules": []}
    match method, path:
        case "GET", "/api/v2/orgs":
            return 200, {"orgs": [{"id": "o1", "name": "compound"}]}
        case "GET", "/api/v2/buckets":
            return 200, {"buckets": []}
        case "POST", "/api/v2/buckets":
            return 201, bucket
        case "POST", "/api/v2/authorizations":
            actions = "-".join(p["action"] for p in body["permissions"])
            return 201, {"id": "a", "token": f"secret-{actions}", "status": "active", **body}
        case _:
            return 404, {"code": "not found", "message": path}


def test_influxdb_gets_a_bucket_and_write_only_tokens(tmp_path: Path) -> None:
    (tmp_path / "admin").write_text("root")
    with scripted(influx) as (url, asked):
        options = ["--admin-token-file", str(tmp_path / "admin"), "--retention-days", "400"]
        out = ["--agents", "a1", "a2", "--out", str(tmp_path / "tokens")]
        assert main(["influx-init", "--url", url, *options, *out]) == 0
    made = {p.name: p.read_text().strip() for p in (tmp_path / "tokens").iterdir()}
    assert made == {"a1": "secret-write", "a2": "secret-write", "server": "secret-read-write"}
    assert (tmp_path / "tokens/a1").stat().st_mode & 0o777 == 0o600
    bucket = next(b for m, p, b in asked if (m, p) == ("POST", "/api/v2/buckets"))
    assert bucket["retentionRules"][0]["everySeconds"] == 400 * 86_400


def test_a_refused_set_up_is_told_without_a_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "admin").write_text("wrong")
    refuse: Script = lambda *_: (401, {"code": "unauthorized", "message": "no"})  # noqa: E731 - a one-line script
    with scripted(refuse) as (url, _):
        options = ["--admin-token-file", str(tmp_path / "admin"), "--agents", "a1"]
        assert main(["influx-init", "--url", url, *options, "--out", str(tmp_path / "t")]) == 1
    said = capfd.readouterr().err
    assert "refused" in said
    assert "Traceback" not in said


def test_a_dashboard_is_pushed_into_our_folder_again_and_again(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")

    def grafana(method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/api/folders":
            return 412, {"message": "exists"}
        assert (method, path) == ("POST", "/api/dashboards/db")
        return 200, {"url": f"/d/{body['dashboard']['uid']}", "status": "success"}

    dashboard = str(ROOT / "grafana/dashboards/compound.json")
    with scripted(grafana) as (url, asked):
        token = str(tmp_path / "token")
        command = ["grafana-push", "--url", url, "--token-file", token, "--dashboard", dashboard]
        assert main(command) == 0
        assert main(command) == 0
    bodies = [b for _, p, b in asked if p == "/api/dashboards/db"]
    assert [b["overwrite"] for b in bodies] == [True, True]
    assert bodies[0]["folderUid"] == "compound-energy"


def test_the_dashboard_is_sound() -> None:
    document = json.loads((ROOT / "grafana/dashboards/compound.json").read_text("utf-8"))
    panels = document["panels"]
    assert len({p["id"] for p in panels}) == len(panels) >= 12
    taken: set[tuple[int, int]] = set()
    for p in panels:
        g = p["gridPos"]
        cells = {
            (x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])
        }
        assert not cells & taken, p["title"]
        assert g["x"] + g["w"] <= 24
        taken |= cells
        assert all(t["datasource"]["uid"] == "compound-influx" and t["query"] for t in p["targets"])
