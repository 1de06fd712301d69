"""The pipeline on a real InfluxQL engine, and every query of the dashboard executed there."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.jobs.judging import judge_all
from server.jobs.rolling import roll_up
from server.periods import Interval
from simulators.compound import Compound
from simulators.devices import DeviceSet
from simulators.history import HistoryWriter, bodies
from simulators.layout import SITE
from tests.real.influxd import Influxd
from tests.server.running import TOKEN, FixedClock, Running, running_server

pytestmark = pytest.mark.real
DAY_MS = 86_400_000
NOW = int(datetime(2026, 3, 20, 2, 0, tzinfo=UTC).timestamp() * 1000)
START = NOW - 20 * DAY_MS
DASHBOARD = Path(__file__).parents[2] / "grafana/dashboards/compound.json"


@pytest.fixture(scope="module")
def compound() -> Compound:
    return Compound.build(3, START, NOW + DAY_MS, NOW)


@pytest.fixture(scope="module")
def server(
    engine: Influxd, compound: Compound, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    engine.create("energy")
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "store-token").write_text("unused-by-this-engine")
    url = f"{engine.url.replace('http', 'influxdb')}/energy?org=compound"
    store = {"url": url, "token_file": "./store-token"}
    with running_server(folder, FixedClock(NOW), store=store) as it:
        writer = HistoryWriter(it.url, TOKEN)
        for body in bodies(compound, START, NOW, FixedClock(NOW)):
            writer.post(body)
        _write_live(it, compound)
        roll_up(it.works, Interval(START, NOW), NOW)
        judge_all(it.works, Interval(START, NOW), NOW)
        yield it


def _write_live(server: Running, compound: Compound) -> None:
    """A few slots with every field an agent sends, as the history has only counters and power."""
    device = DeviceSet(compound).devices["E01"]
    lines = []
    for t in range(NOW - 3_600_000, NOW, 60_000):
        fields = ",".join(f"{k}={float(v)!r}" for k, v in device.values(t).items())
        lines.append(f"electricity,device=E01,site={SITE} {fields},lag_s=0.1 {t}")
    assert server.write("\n".join(lines)).status_code == 204


def test_every_meter_adds_up_to_the_truth(server: Running, compound: Compound) -> None:
    for meter in compound.meters:
        query: dict[str, str | int] = {"meter": meter, "step": "15m", "from": START, "to": NOW}
        values = server.http.get("/api/v1/rollups", params=query).json()["values"]
        assert None not in values, meter
        error = abs(sum(values) - compound.truth(meter, START, NOW))
        assert error <= compound.counter_step(meter), meter


def test_alerts_are_found_there_too(server: Running) -> None:
    assert {a.rule for a in server.works.state.alerts()} >= {"unattended_ac", "lights_all_night"}


def test_the_pages_work_on_that_store(server: Running) -> None:
    for path in ("/", "/meters", "/alerts", "/report"):
        assert server.http.get(path).status_code == 200


def queries() -> list[tuple[str, str]]:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [(p["title"], t["query"]) for p in panels for t in p["targets"]]


def expanded(query: str) -> str:
    """Expand the macros and variables as Grafana does for the last seven days."""
    interval = f"time >= {NOW - 7 * DAY_MS}ms AND time <= {NOW}ms"
    query = query.replace("$timeFilter", interval).replace("$__interval", "1h")
    names = "县委楼|政府楼|人大楼|政协楼|会议中心|食堂|大院公共区"
    return query.replace("$site", SITE).replace("/^$building$/", f"/^({names})$/")


def ask(engine: Influxd, query: str) -> dict[str, Any]:
    answer = httpx.get(f"{engine.url}/query", params={"db": "energy", "q": query}, timeout=30)
    result: dict[str, Any] = answer.json()["results"][0]
    return result


@pytest.mark.parametrize(("title", "query"), queries())
def test_every_query_of_the_dashboard_returns_rows(
    server: Running, engine: Influxd, title: str, query: str
) -> None:
    assert server.url
    sent = expanded(query)
    assert "$" not in re.sub(r"\$\)?/", "", sent), sent
    result = ask(engine, sent)
    assert "error" not in result, (title, result)
    rows = [v for s in result.get("series", []) for v in s["values"]]
    assert any(cell is not None for row in rows for cell in row[1:]), title


def test_the_building_variable_lists_the_buildings(server: Running, engine: Influxd) -> None:
    assert server.url
    variables = json.loads(DASHBOARD.read_text("utf-8"))["templating"]["list"]
    query = next(v["query"] for v in variables if v["name"] == "building")
    (series,) = ask(engine, query)["series"]
    assert {"县委楼", "政府楼"} <= {row[1] for row in series["values"]}
