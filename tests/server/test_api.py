"""The ingest endpoint and the read API, on a real server."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.running import Running, running_server

T0 = 1_767_196_800_000
LINE = "electricity,device=E01,site=hengnan energy_import_kwh={},lag_s=0.0 {}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("server"), max_body_bytes=20_000) as it:
        yield it


def values(server: Running, device: str = "E01") -> list[float]:
    query: dict[str, str | int] = {"device": device, "measurand": "energy_import_kwh"}
    query |= {"from": T0, "to": T0 + 10_000}
    found: list[float] = server.http.get("/api/v1/readings", params=query).json()["values"]
    return found


def test_good_lines_are_kept_and_answered_204(server: Running) -> None:
    assert server.write(LINE.format(1.0, T0)).status_code == 204
    assert values(server) == [1.0]


def test_concatenated_gzip_members_are_one_body(server: Running) -> None:
    members = b"".join(gzip.compress(f"{LINE.format(float(i), T0 + i)}\n".encode()) for i in (1, 2))
    assert server.write(members, **{"Content-Encoding": "gzip"}).status_code == 204
    assert values(server)[-2:] == [1.0, 2.0]


def test_bad_lines_are_named_and_the_good_ones_kept(server: Running) -> None:
    body = f"nonsense\n{LINE.format(5.0, T0 + 5)}\nelectricity,device=E01,site=hengnan x=1 {T0}"
    answer = server.write(body)
    assert answer.status_code == 400
    said = answer.json()
    assert said["code"] == "invalid"
    assert "line 1" in said["message"]
    assert "line 3" in said["message"]
    assert 5.0 in values(server)


@pytest.mark.parametrize("token", ["wrong", "", "right-token "])
def test_a_wrong_token_is_401(server: Running, token: str) -> None:
    assert server.write(LINE.format(9.0, T0 + 9), token=token.strip() + "x").status_code == 401
    assert 9.0 not in values(server)


def test_a_body_too_large_is_413_as_sent_and_unpacked(server: Running) -> None:
    large = "\n".join(LINE.format(1.0, T0 + i) for i in range(1000))
    assert server.write(large).status_code == 413
    bomb = gzip.compress(large.encode())
    assert len(bomb) < 20_000
    assert server.write(bomb, **{"Content-Encoding": "gzip"}).status_code == 413


def test_what_is_not_gzip_is_400_not_500(server: Running) -> None:
    answer = server.write(b"not gzip", **{"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    cut = gzip.compress(LINE.format(1.0, T0).encode())[:-4]
    assert server.write(cut, **{"Content-Encoding": "gzip"}).status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", 200),
        ("/openapi.json", 200),
        ("/api/v1/site", 200),
        ("/api/v1/meters", 200),
        ("/api/v1/metrics", 200),
        ("/api/v1/alerts", 200),
        ("/api/v1/delivery", 200),
        ("/api/v1/metrics/energy_kwh?from=0&to=1", 200),
        ("/api/v1/metrics/nothing?from=0&to=1", 404),
        ("/api/v1/metrics/energy_kwh?from=5&to=1", 422),
        ("/api/v1/metrics/energy_kwh?from=0&to=1&building=nowhere", 404),
        ("/api/v1/readings?device=E01&measurand=volts&from=0&to=1", 422),
        ("/api/v1/rollups?meter=E99&step=1h&from=0&to=1", 404),
        ("/api/v1/rollups?meter=E01&step=2h&from=0&to=1", 422),
        ("/api/v1/report/1800.docx", 422),
    ],
)
def test_requests_are_answered_or_refused_with_the_right_status(
    server: Running, path: str, status: int
) -> None:
    answer = server.http.get(path)
    assert answer.status_code == status
    if status >= 400:
        assert "detail" in answer.json()


def test_backfill_needs_the_token(server: Running) -> None:
    span = {"start_ms": T0, "end_ms": T0 + 900_000}
    assert server.http.post("/api/v1/jobs/backfill", json=span).status_code == 401


def test_what_is_not_known_is_null_with_a_reason(server: Running) -> None:
    answer = server.http.get("/api/v1/metrics/energy_kwh?from=0&to=86400000").json()
    assert answer["value"] is None
    assert answer["grade"] == "missing"


def test_a_console_with_a_token_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "console").write_text("secret")
    with running_server(tmp_path, console_token_file="./console") as it:
        assert it.http.get("/").status_code == 401
        assert it.http.get("/", auth=("viewer", "wrong")).status_code == 401
        assert it.http.get("/", auth=("viewer", "secret")).status_code == 200
        assert it.http.get("/api/v1/site").status_code == 401
        assert it.http.get("/api/v1/report/2026.docx").status_code == 401
        for token in ("secret", "right-token"):
            headers = {"Authorization": f"Token {token}"}
            assert it.http.get("/api/v1/site", headers=headers).status_code == 200
        assert it.http.get("/health").status_code == 200


def test_several_meters_come_on_one_grid(server: Running) -> None:
    path = f"/api/v1/series?meters=E01,hengnan:electricity&step=1h&from={T0}&to={T0 + 7_200_000}"
    found = server.http.get(path + "&detail=true").json()
    assert len(found["starts_ms"]) == 2
    assert set(found["values"]) == {"E01", "hengnan:electricity"} == set(found["grades"])
    assert server.http.get(path.replace("E01", "E99")).status_code == 404
