"""The report as a real office program shows it, the pages as a real browser does."""

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.jobs.judging import judge_all
from server.jobs.rolling import roll_up
from server.periods import Interval
from simulators.compound import Compound
from simulators.history import HistoryWriter, bodies
from tests.server.running import TOKEN, FixedClock, Running, running_server

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
DAY_MS = 86_400_000
NOW = int(datetime(2026, 3, 20, 2, 0, tzinfo=UTC).timestamp() * 1000)
START = NOW - 40 * DAY_MS
CHROMIUM = [
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--virtual-time-budget=5000", "--window-size=1440,1000",
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    compound = Compound.build(3, START, NOW + DAY_MS, NOW)
    with running_server(tmp_path_factory.mktemp("pages"), FixedClock(NOW)) as it:
        writer = HistoryWriter(it.url, TOKEN)
        for body in bodies(compound, START, NOW):
            writer.post(body)
        roll_up(it.works, Interval(START, NOW), NOW)
        judge_all(it.works, Interval(START, NOW), NOW)
        yield it


def test_the_report_renders_with_chinese_fonts_embedded(server: Running, tmp_path: Path) -> None:
    (tmp_path / "report.docx").write_bytes(server.http.get("/api/v1/report/2026.docx").content)
    aliases = ROOT / "deploy/fontconfig/official-fonts.conf"
    environment = {**os.environ, "FONTCONFIG_FILE": str(aliases), "HOME": str(tmp_path)}
    subprocess.run(
        ["soffice", "--headless", "--convert-to", "pdf", "report.docx"],
        cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    fonts = subprocess.run(
        ["pdffonts", "report.pdf"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    for family in ("UMingCN", "UKaiCN", "NotoSerifCJK", "NotoSansCJK"):
        assert family in fonts, fonts
    text = subprocess.run(
        ["pdftotext", "report.pdf", "-"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    assert "公共机构节能工作开展情况" in text
    assert re.search(r"— ?1 ?—", text)
    subprocess.run(["pdftoppm", "-r", "40", "-png", "report.pdf", "p"], cwd=tmp_path, check=True)
    pages = list(tmp_path.glob("p-*.png"))
    assert 2 <= len(pages) <= 8


@pytest.mark.parametrize(
    "path",
    [
        "/", "/alerts", "/alerts/1", "/alerts/1/order", "/rules", "/rules/unattended_ac", "/wall",
        "/meters", "/buildings/zhengfu", "/report",
    ],
)  # fmt: skip
def test_a_browser_shows_each_page_without_an_error(
    server: Running, tmp_path: Path, path: str
) -> None:
    command = [*CHROMIUM, f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"]
    picture = tmp_path / "page.png"
    shot = subprocess.run(
        [*command, f"--screenshot={picture}", server.url + path],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert not re.findall(r"CONSOLE.*(?:Error|Refused|Failed)", shot.stderr)
    assert picture.stat().st_size > 20_000


def test_charts_are_drawn(server: Running, tmp_path: Path) -> None:
    command = [*CHROMIUM, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", server.url]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert dom.count('class="main-svg"') >= 3
    assert "负荷曲线" in dom
