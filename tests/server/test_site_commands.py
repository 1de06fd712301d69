"""site check | show | diff | import | template, as a user types them."""

from pathlib import Path

import pytest
import yaml
from openpyxl import load_workbook

from server.cli import main
from server.imports.table import write_xlsx
from server.site.file import load_site
from server.site.model import Dated, MeterKind, Scope
from tests.server.test_site_mistakes import GOOD, written


def test_a_right_file_is_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["site", "check", str(written(tmp_path, GOOD))]) == 0
    assert "计量表 6 块" in capfd.readouterr().err


def test_show_draws_places_meters_and_what_they_are_the_sum_of(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["site", "show", str(written(tmp_path, GOOD))]) == 0
    out = capfd.readouterr().out
    for text in ("电 = hall(合计)", "[台账]", "区域 一层", "虚表", "1×E1 + -1×E2", "E1 − 其下各表"):
        assert text in out


def test_diff_names_what_changed_and_what_is_computed_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old = written(tmp_path, GOOD)
    (tmp_path / "new").mkdir()
    changed = yaml.safe_load(old.read_text("utf-8"))
    changed["meters"][1]["ratio"] = [
        {"from": "2020-01-01", "value": 1},
        {"from": "2026-03-02T10:00", "value": 40},
    ]
    changed["buildings"][0]["name"] = "新办公楼"
    new = written(tmp_path / "new", changed)
    assert main(["site", "diff", str(old), str(new)]) == 0
    out = capfd.readouterr().out
    assert "新办公楼" in out
    assert "ratios of E2" in out
    assert main(["site", "diff", str(old), str(old)]) == 0
    assert "ratios" not in capfd.readouterr().out


def test_the_templates_are_taken_as_they_are(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["site", "template", "--out", str(tmp_path / "t")]) == 0
    ledger, meters = (tmp_path / "t" / f"{n}.xlsx" for n in ("办公用房台账", "计量表清单"))
    assert load_workbook(ledger).active is not None
    base = written(tmp_path, {**GOOD, "meters": [], "areas": [], "buildings": []})
    out = tmp_path / "out.yaml"
    assert main([
        "site", "import", "--into", str(base), "--ledger", str(ledger), "--meters", str(meters),
        "--out", str(out),
    ]) == 0  # fmt: skip
    site = load_site(out)
    assert [b.id for b in site.buildings_in(Scope.LEDGER)] == ["town01"]
    assert site.meter("E01-R").kind is MeterKind.RESIDUAL
    assert site.meter("E01").ratios[0].value == 40
    assert "计量表 3 块" in capfd.readouterr().err


def test_an_import_adds_dated_rows_and_never_overwrites(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    base = written(tmp_path, GOOD)
    ledger = tmp_path / "ledger.csv"
    ledger.write_text(
        "编号,名称,建筑面积,生效日期\nhall,办公楼,100,2024-01-01\nhall,办公楼,120,2026/1/1\n",
        "utf-8",
    )
    out = tmp_path / "out.yaml"
    command = ["site", "import", "--into", str(base), "--ledger", str(ledger), "--out", str(out)]
    assert main(command) == 0
    rows = load_site(out).building("hall").area_m2
    assert [r.value for r in rows] == [100, 120]
    assert isinstance(rows[0], Dated)
    assert main(command) == 2
    assert "it exists" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["编号"]], "名称 (name)"),
        ([["编号", "名称", "颜色"], ["a", "b", "red"]], "'颜色'"),
        ([["编号", "名称", "建筑面积"], ["a", "b", "很大"]], "row 2, 建筑面积"),
        ([["编号", "名称", "范围"], ["a", "b", "全省"]], "大院、台账"),
        ([["编号", "名称", "生效日期"], ["a", "b", "明天"]], "2026-03-02"),
        ([], "header"),
    ],
)
def test_a_wrong_ledger_is_told_by_row_and_column(
    tmp_path: Path, rows: list[list[object]], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "l.xlsx"
    write_xlsx(path, "台账", rows)
    base = written(tmp_path, GOOD)
    assert main([
        "site", "import", "--into", str(base), "--ledger", str(path),
        "--out", str(tmp_path / "o.yaml"),
    ]) == 2  # fmt: skip
    err = capfd.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_a_file_that_is_no_workbook_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "l.xlsx"
    path.write_bytes(b"not a workbook")
    command = ["site", "import", "--into", str(written(tmp_path, GOOD)), "--meters", str(path)]
    assert main([*command, "--out", str(tmp_path / "o.yaml")]) == 2
    assert "readable .csv" in capfd.readouterr().err
