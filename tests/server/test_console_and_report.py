"""The console's pages and the report, over two months of the simulated compound."""

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import docx
import pytest
from docx.oxml.ns import qn

from contract.errors import ConfigError
from server.analysis import Analysis
from server.analysis.report import report_of
from server.cli import main
from server.jobs.judging import judge_all
from server.jobs.rolling import roll_up
from server.periods import Interval
from server.report.html import render_html
from server.yaml_file import read_facts
from simulators.compound import Compound
from simulators.history import HistoryWriter, bodies
from simulators.verdict import match
from tests.server.running import TOKEN, FixedClock, Running, running_server

DAY_MS = 86_400_000
NOW = int(datetime(2026, 3, 20, 2, 0, tzinfo=UTC).timestamp() * 1000)
START = NOW - 62 * DAY_MS
PAGES = ["/", "/meters", "/alerts", "/report", "/buildings/zhengfu", "/buildings/yard"]


@pytest.fixture(scope="module")
def compound() -> Compound:
    return Compound.build(3, START, NOW + DAY_MS, NOW)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, compound: Compound) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("console"), FixedClock(NOW)) as it:
        writer = HistoryWriter(it.url, TOKEN)
        for body in bodies(compound, START, NOW):
            writer.post(body)
        roll_up(it.works, Interval(START, NOW), NOW)
        judge_all(it.works, Interval(START, NOW), NOW)
        yield it


def text_of(html: str) -> str:
    return re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_whole_and_ask_nothing_of_the_outside(server: Running, path: str) -> None:
    answer = server.http.get(path)
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)
    shown = text_of(answer.text)
    assert not re.findall(r"\bNone\b|\bnan\b|undefined|\{\{|㎡", shown)


def test_every_local_file_a_page_names_is_there(server: Running) -> None:
    html = server.http.get("/").text
    for name in set(re.findall(r'(?:src|href)="(/static/[^"]+)"', html)):
        assert server.http.get(name).status_code == 200, name


def test_an_unknown_building_or_alert_is_404(server: Running) -> None:
    assert server.http.get("/buildings/nowhere").status_code == 404
    assert server.http.get("/alerts/999999").status_code == 404


def test_each_alert_has_a_page_with_its_evidence(server: Running) -> None:
    found = server.works.state.alerts()
    assert {a.rule for a in found} >= {"unattended_ac", "lights_all_night", "running_water"}
    for rule in {a.rule for a in found}:
        number = next(a.id for a in found if a.rule == rule)
        html = server.http.get(f"/alerts/{number}").text
        assert 'data-chart="evidence"' in html
        assert "建议" in html


def test_alerts_are_the_wastes_and_nothing_else(server: Running, compound: Compound) -> None:
    for rule in ("unattended_ac", "lights_all_night", "running_water"):
        spans = [
            (a.meter, a.start_ms, a.end_ms or NOW)
            for a in server.works.state.alerts()
            if a.rule == rule
        ]
        wastes = [
            (w.meter, w.start_ms, min(w.end_ms, NOW))
            for w in compound.wastes
            if w.kind == rule and START + 8 * DAY_MS <= w.start_ms < NOW - DAY_MS
        ]
        assert match(spans, wastes).missed == (), rule
        everything = [(w.meter, w.start_ms, w.end_ms) for w in compound.wastes if w.kind == rule]
        assert match(spans, everything).stray == (), rule


def test_judging_again_finds_nothing_new(server: Running) -> None:
    before = server.works.state.alerts()
    assert judge_all(server.works, Interval(START, NOW), NOW) == 0
    assert server.works.state.alerts() == before


def test_alerts_cost_what_their_energy_cost(server: Running) -> None:
    for a in server.works.state.alerts():
        assert a.yuan is not None
        low, high = (0.3, 1.6) if a.unit == "kWh" else (3.4, 3.6)
        assert low * a.excess <= float(a.yuan) + 0.01 <= high * a.excess + 0.02


def document_of(server: Running) -> docx.document.Document:
    answer = server.http.get("/api/v1/report/2026.docx")
    assert answer.status_code == 200
    return docx.Document(io.BytesIO(answer.content))


def test_the_document_says_what_was_measured_and_marks_what_is_missing(
    server: Running, compound: Compound
) -> None:
    document = document_of(server)
    text = "\n".join(p.text for p in document.paragraphs)
    midnight = NOW // DAY_MS * DAY_MS - 8 * 3_600_000
    year = int(datetime(2025, 12, 31, 16, tzinfo=UTC).timestamp() * 1000)
    kwh = compound.truth("E00", max(START, year), midnight)
    assert f"用电{kwh / 10_000:,.2f}万千瓦时" in text
    for needed in (
        "（五）公共机构节能工作开展情况",
        "“无人空调”",
        "“长明灯”",
        "“长流水”",
        "截至3月19日",
    ):
        assert needed in text
    assert "【待填：2025年同期用电量】" in text
    assert "【待填：节约型机关创建数量与所获荣誉】" in text
    assert not re.findall(r"\bNone\b|\bnan\b|㎡|月01日", text)
    assert len(document.tables) == 4


def test_the_document_is_laid_out_as_official_ones_are(server: Running) -> None:
    document = document_of(server)
    section = document.sections[0]
    assert round((section.page_width or 0) / 36_000) == 210
    assert [round((m or 0) / 36_000) for m in (section.top_margin, section.left_margin)] == [37, 28]
    fonts = {
        r._r.rPr.rFonts.get(qn("w:eastAsia"))
        for p in document.paragraphs
        for r in p.runs
        if r._r.rPr is not None and r._r.rPr.rFonts is not None
    }
    assert fonts == {"仿宋_GB2312", "楷体_GB2312", "黑体", "方正小标宋简体"}
    for table in document.tables:
        assert table.rows[0]._tr.findall(f".//{qn('w:tblHeader')}")


def test_every_number_of_the_report_names_its_meters(server: Running) -> None:
    report = report_of(Analysis(server.works, FixedClock(NOW)), 2026)
    assert report.trace
    assert all(t.answer.sources for t in report.trace)
    assert not report.is_final


def test_the_pipeline_and_the_truth_agree_for_every_meter(
    server: Running, compound: Compound
) -> None:
    for meter in compound.meters:
        query: dict[str, str | int] = {"meter": meter, "step": "15m", "from": START, "to": NOW}
        values = server.http.get("/api/v1/rollups", params=query).json()["values"]
        assert None not in values
        error = abs(sum(values) - compound.truth(meter, START, NOW))
        assert error <= compound.counter_step(meter), meter


def test_the_commands_ask_a_running_server(
    server: Running, tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path_factory.mktemp("out")
    config = str(next(out.parent.glob("console*")) / "server.yaml")
    there = ["--config", config, "--server", server.url]
    files = ["--out", str(out / "r.docx"), "--html", str(out / "r.html")]
    assert main(["report", *there, "--year", "2026", *files]) == 0
    assert "公共机构节能工作" in (out / "r.html").read_text("utf-8")
    assert main(["backfill", *there, "--from", "2026-03-01", "--to", "2026-03-03"]) == 0
    assert "新增告警 0 条" in capfd.readouterr().err


def test_a_store_in_use_is_told_without_a_traceback(
    server: Running, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert server.url
    folder = next(tmp_path_factory.getbasetemp().glob("console*"))
    command = [sys.executable, "-c", "from server.cli import main; raise SystemExit(main())"]
    config = ["--config", str(folder / "server.yaml")]
    done = subprocess.run(
        [*command, "report", *config, "--year", "2026", "--out", "x"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "--server" in done.stderr
    assert "Traceback" not in done.stderr


def test_entered_facts_fill_their_gaps_and_no_others(server: Running) -> None:
    entered = {
        "节能工作部署情况（会议、文件）": "全年召开节能工作会议3次",
        "目标值：用电量": "1,650,000",
    }
    report = report_of(Analysis(server.works, FixedClock(NOW)), 2026, entered)
    text = render_html(report)
    assert "全年召开节能工作会议3次" in text
    assert "1,650,000" in text
    assert set(entered) <= report.slots
    assert "节能工作部署情况（会议、文件）" not in report.missing
    assert "各项指标年度目标值" in report.missing


def test_a_facts_file_is_checked(tmp_path: Path) -> None:
    (tmp_path / "facts.yaml").write_text("a: 3\nb: ''\nc: 好\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_facts(tmp_path / "facts.yaml")
    assert [p.key for p in caught.value.problems] == ["a", "b"]
