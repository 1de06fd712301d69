"""Deliveries and agents over HTTP, on the command line and on the console; on real files."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.line import encode
from contract.reading import PointId, Reading
from server.app import open_works
from server.cli import main
from server.config import load_config
from server.jobs.receipts import DELIVERIES, agent_logs, roll_deliveries
from server.periods import DAY_MS, HOUR_MS, MINUTE_MS, Interval
from server.state import open_state
from simulators.layout import SITE
from tests.server.agent_words import LEDGER, points, queued, receipt, word
from tests.server.running import FixedClock, Running, running_server
from tests.server.small_site import at

NOW = at("2026-04-10T12:00")
DAY = at("2026-04-08T00:00")
METER = PointId(SITE, "E01", "energy_import_kwh")
GOLDEN = Path(__file__).parent / "golden"


def readings(start_ms: int, count: int) -> str:
    return "\n".join(
        encode([Reading(METER, start_ms + i * 10_000, float(i)) for i in range(count)])
    )


def stripped(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def waits(at_ms: int) -> str:
    """a1 still says, a minute before, that it holds 1081-1090."""
    return queued("a1", at_ms - MINUTE_MS, 1081, 1090, 10)


def story() -> list[str]:
    """a1 lost 361-365, dropped 721-730, holds 1081-1090; a2 is whole; a3 spoke long ago."""
    lines = []
    for hour in range(24):
        start_ms = DAY + hour * HOUR_MS
        first = hour * 360 + 1
        missing = {1: 5, 2: 10, 3: 10}.get(hour, 0)
        span = (start_ms + missing * 10_000, start_ms + HOUR_MS - 10_000)
        lines.append(receipt("a1", first + missing, first + 359, span))
        lines.append(receipt("a2", first, first + 359, (start_ms, span[1]), outbox_id=5))
    end = DAY + DAY_MS
    dropped = {"dropped_first": 721, "dropped_last": 730, "dropped_readings": 40}
    lines.append(word("a1", DAY + 3 * HOUR_MS, dropped | {"outbox_id": LEDGER}))
    lines.append(waits(NOW))
    for agent, ledger in (("a1", LEDGER), ("a2", 5)):
        lines.append(
            receipt(agent, 8641, 8641, (end, end), outbox_id=ledger, sent_ms=NOW, readings_sent=1)
        )
    lines.append(receipt("a3", 1, 9, (DAY - 9 * DAY_MS, DAY - 9 * DAY_MS), outbox_id=6))
    return lines


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("fleet"), FixedClock(NOW)) as it:
        assert it.write("\n".join(story())).status_code == 204
        yield it


def proof(server: Running, **query: str | int) -> dict[str, dict]:  # type: ignore[type-arg] # json
    answer = server.http.get("/api/v1/delivery/proof", params={"from": DAY, "to": NOW, **query})
    assert answer.status_code == 200, answer.text
    return {a["agent"]: a for a in answer.json()["agents"]}


def test_a_proof_names_every_range_and_why(server: Running) -> None:
    found = proof(server, to=DAY + DAY_MS - 2 * MINUTE_MS)
    assert found["a2"]["is_complete"]
    assert not found["a1"]["is_complete"]
    said = [(f["why"], f["first"], f["last"], f["amount"]) for f in found["a1"]["findings"]]
    assert said == [
        ("unknown", 361, 365, None), ("dropped", 721, 730, 40), ("queued", 1081, 1090, None),
    ]  # fmt: skip
    lost = found["a1"]["findings"][0]
    assert (lost["start_ms"], lost["end_ms"]) == (DAY + HOUR_MS - 10_000, DAY + HOUR_MS + 50_000)
    assert found["a3"]["is_complete"] is False
    assert [(f["why"], f["last"]) for f in found["a3"]["findings"]] == [("pending", None)]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("from=5&to=1", 422),
        ("from=0", 422),
        ("from=0&to=1&agent=nobody", 404),
        (f"from=0&to={100 * DAY_MS}&count=true", 422),
        ("from=0&to=1&agent=a2", 200),
    ],
)
def test_a_wrong_question_is_refused(server: Running, query: str, status: int) -> None:
    answer = server.http.get(f"/api/v1/delivery/proof?{query}")
    assert answer.status_code == status
    assert status == 200 or "detail" in answer.json()


def test_days_are_marked_and_shown(server: Running) -> None:
    query: dict[str, int] = {"from": DAY, "to": DAY + 2 * DAY_MS}
    days = server.http.get("/api/v1/delivery/days", params=query).json()
    assert days["a1"][0]["worst"] == "unknown"
    assert [(m["worst"], m["parcels"]) for m in days["a2"]] == [(None, 8640), (None, 1)]
    page = server.http.get("/delivery").text
    assert "丢失" in page
    assert "完整" in page
    assert server.http.get("/delivery?days=0").status_code == 422
    ranges = server.http.get("/delivery/a1?day=2026-04-08").text
    for text in ("361–365", "721–730", "1081–1090", "丢失", "丢弃", "待发", str(LEDGER)):
        assert text in ranges, text
    assert server.http.get("/delivery/nobody?day=2026-04-08").status_code == 404
    assert server.http.get("/delivery/a1?day=0001-01-01").status_code == 422
    assert server.http.get("/delivery/a1?day=x").status_code == 422
    assert "当日发出的数据批都已入库" in server.http.get("/delivery/a2?day=2026-04-08").text


def test_a_store_that_lost_readings_is_found_out_by_counting(tmp_path: Path) -> None:
    with running_server(tmp_path, FixedClock(NOW)) as server:
        parcel = receipt("a1", 1, 1, (DAY, DAY + 990_000), readings_sent=100)
        assert server.write(f"{readings(DAY, 100)}\n{parcel}").status_code == 204
        span: dict[str, str | int] = {"from": DAY, "to": DAY + HOUR_MS, "count": "true"}

        def asked() -> dict[str, object]:
            found: dict[str, object] = server.http.get(
                "/api/v1/delivery/proof", params=span
            ).json()["count"]
            return found

        assert asked() == {"least": 100, "most": 100, "held": 100, "lost": 0}
        server.works.store.delete([METER], Interval(DAY, DAY + 30_000))
        assert asked() == {"least": 100, "most": 100, "held": 97, "lost": 3}


def test_joined_receipts_prove_what_the_receipts_proved(tmp_path: Path) -> None:
    with running_server(tmp_path, FixedClock(NOW + 30 * DAY_MS)) as server:
        works = server.works
        server.write("\n".join(story()))
        before = agent_logs(works)
        assert roll_deliveries(works, NOW + 30 * DAY_MS) > 30
        assert roll_deliveries(works, NOW + 30 * DAY_MS) == 0
        late = {"dropped_first": 7000, "dropped_last": 7001, "dropped_readings": 2}
        server.write(word("a1", DAY + 20 * HOUR_MS, late | {"outbox_id": LEDGER}))
        newer = NOW + 29 * DAY_MS
        server.write(receipt("a1", 8642, 8642, (DAY + 19 * HOUR_MS, newer), sent_ms=newer))
        server.write(waits(newer))
        after = agent_logs(works)
        assert len(after["a1"].runs) <= len(before["a1"].runs) + 1
        assert after["a1"].dropped["first"].tolist() == [721, 7000]
        works.store.maintain(0, NOW + 30 * DAY_MS, NOW + 28 * DAY_MS)  # the receipts are gone
        kept = proof(server, to=DAY + DAY_MS)
        assert {f["why"] for f in kept["a1"]["findings"]} >= {"unknown", "dropped", "queued"}
        assert kept["a2"]["is_complete"]
        assert works.state.mark(DELIVERIES) is not None


def test_a_report_that_comes_late_is_kept_with_the_day_it_tells_of(tmp_path: Path) -> None:
    with running_server(tmp_path, FixedClock(NOW + 5 * DAY_MS)) as server:
        server.write("\n".join(story()))
        roll_deliveries(server.works, NOW + 5 * DAY_MS)
        late = {"dropped_first": 361, "dropped_last": 365, "dropped_readings": 5}
        sent = NOW + 4 * DAY_MS
        server.write(
            "\n".join([
                word("a1", DAY + HOUR_MS, late | {"outbox_id": LEDGER}),
                receipt("a1", 8642, 8642, (DAY + HOUR_MS, sent), sent_ms=sent),
                waits(sent),
            ])
        )  # fmt: skip
        for _ in range(2):
            found = proof(server, to=DAY + DAY_MS)["a1"]["findings"]
            assert [f["first"] for f in found if f["why"] == "dropped"] == [361, 721]
            assert not [f for f in found if f["why"] == "unknown"]
            roll_deliveries(server.works, NOW + 20 * DAY_MS)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    with running_server(tmp_path, FixedClock(NOW)) as it:
        it.write("\n".join(story()))
    return tmp_path


def test_the_command_prints_what_is_missing_and_exits_1(
    files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", str(files / "server.yaml")]
    span = ["--from", "2026-04-08", "--to", "2026-04-09"]
    assert main(["delivery", *config, *span]) == 1
    assert stripped(capfd.readouterr().out) == (GOLDEN / "delivery.txt").read_text("utf-8")
    assert main(["delivery", *config, *span, "--agent", "a2"]) == 0
    said = capfd.readouterr()
    assert "完整 complete" in said.out
    assert "已送达的证明" in said.err
    early = ["--from", "2026-01-01", "--to", "2026-01-02", "--agent", "a2"]
    assert main(["delivery", *config, *early]) == 1
    said = capfd.readouterr()
    assert "无数据 no data" in said.out
    assert "无从证明" in said.err
    assert main(["delivery", *config, *span, "--agent", "a1", "--json", "--fresh"]) == 1
    found = json.loads(capfd.readouterr().out)
    assert [f["first"] for f in found["agents"][0]["findings"]][:3] == [361, 721, 1081]


def test_the_command_refuses_what_it_cannot_answer(
    files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", str(files / "server.yaml")]
    for wrong in (["--agent", "nobody"], ["--from", "2026-04-08", "--to", "2026-04-08"],
                  ["--to", "0001-01-01"], ["--from", "2200-01-01"]):  # fmt: skip
        assert main(["delivery", *config, *wrong]) == 2, wrong
        assert "应为 expected" in capfd.readouterr().err
    assert main(["agents"]) == 2
    assert "--config" in capfd.readouterr().err


def test_without_any_agent_nothing_is_proved(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_server(tmp_path):
        pass
    config = ["--config", str(tmp_path / "server.yaml")]
    assert main(["delivery", *config]) == 1
    assert "没有采集代理" in capfd.readouterr().err
    assert main(["agents", *config]) == 0
    assert "还没有采集代理" in capfd.readouterr().err


def test_a_running_server_is_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "console").write_text("secret")
    with running_server(tmp_path, FixedClock(NOW), console_token_file="./console") as it:
        it.write("\n".join(story()))
        there = ["--config", str(tmp_path / "server.yaml"), "--server", it.url]
        assert main(["delivery", *there, "--from", "2026-04-08", "--to", "2026-04-09"]) == 1
        assert stripped(capfd.readouterr().out) == (GOLDEN / "delivery.txt").read_text("utf-8")
        assert main(["agents", *there]) == 0
        assert "a2" in capfd.readouterr().out
        assert main(["delivery", *there, "--agent", "nobody"]) == 1
        assert "404" in capfd.readouterr().err
    assert main(["agents", *there]) == 1
    assert "未完成" in capfd.readouterr().err


def health(agent: str, at_ms: int, minutes: int, **more: float) -> Iterator[str]:
    """An agent's points of every minute, a bus that works and one that stands still."""
    for i in range(minutes):
        now = at_ms - (minutes - 1 - i) * MINUTE_MS
        yield points(agent, now, uptime_s=60 * i, flash_written_bytes_total=i * 50_000, **more)
        yield points(f"{agent}.bus1", now, bus_requests_total=100 + i)
        yield points(f"{agent}.bus2", now, bus_requests_total=100)


def test_agents_are_listed_with_what_is_known_and_only_that(tmp_path: Path) -> None:
    with running_server(tmp_path, FixedClock(NOW)) as server:
        known = {
            "agent_version": 1_002_003, "clock_offset_s": -0.25, "clock_known": 1,
            "config_hash": int("00ab12cd34ef", 16), "config_serial": 4, "outbox_in_ram": 0,
            "cpu_temperature_c": 61.5, "host_undervoltage_state": 1, "outbox_bytes": 2048,
        }  # fmt: skip
        lines = [*health("pi.1", NOW, 90, **known), *story()]
        lines += [receipt("pi.1", 1, 9, (NOW - 9000, NOW), outbox_id=3)]
        lines += [queued("pi.1", NOW + 1, 0, 0, 0)]
        assert server.write("\n".join(lines)).status_code == 204
        rows = {r["agent"]: r for r in server.http.get("/api/v1/agents").json()}
        assert set(rows) == {"a1", "a2", "a3", "pi.1"}
        pi = rows["pi.1"]
        assert (pi["version"], pi["clock_known"], pi["clock_offset_s"]) == ("1.2.3", True, -0.25)
        assert (pi["config_hash"], pi["config_serial"]) == ("00ab12cd34ef", 4)
        assert (pi["in_ram"], pi["undervoltage"], pi["backlog_h"]) == (False, "was", 0.0)
        assert (pi["backlog_parcels"], pi["backlog_bytes"]) == (0, 2048)
        assert pi["flash_mb_per_day"] == pytest.approx(72.0)
        assert pi["buses"] == [
            {"name": "bus1", "stalled": False},
            {"name": "bus2", "stalled": True},
        ]
        assert pi["states"] == ["stalled"]
        unknown = {k: v for k, v in rows["a2"].items() if v is None}
        assert {"version", "clock_known", "config_hash", "in_ram", "flash_mb_per_day"} <= set(
            unknown
        )
        assert rows["a1"]["states"][:2] == ["lost", "dropped"]
        assert (rows["a3"]["states"], rows["a3"]["backlog_h"]) == (["offline"], None)
        page = server.http.get("/agents").text
        for text in ("pi.1", "1.2.3", "总线停滞", "曾欠压", "00ab12cd34ef #4", "离线", "有丢失"):
            assert text in page, text
        assert server.http.get("/api/v1/agents/pi.1").json()["config_states"] == []
        assert server.http.get("/api/v1/agents/nobody").status_code == 404
        assert server.http.get("/agents/nobody").status_code == 404
        assert server.http.get("/agents/pi.1").status_code == 200


def test_the_report_says_whether_everything_arrived(server: Running) -> None:
    page = server.http.get("/api/v1/report/2026.html").text
    assert "3个采集代理中1个经序号核对全部入库" in page
    assert "丢失1段（5个数据批未到）" in page
    assert "送达" not in server.http.get("/api/v1/report/2025.html").text


def test_the_mark_is_in_the_state_so_two_servers_agree(files: Path) -> None:
    config = load_config(files / "server.yaml")
    works = open_works(config)
    try:
        roll_deliveries(works, NOW)
    finally:
        works.store.close()
        works.state.close()
    state = open_state(config.state_url)
    try:
        assert state.fleet.deliveries().keys() == {"a1", "a2", "a3"}
        assert state.mark(DELIVERIES) == NOW // DAY_MS * DAY_MS - 2 * DAY_MS
    finally:
        state.close()
