"""Mending, entering, closing: as a user types it, with the store and the books behind it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from contract.reading import PointId
from server.app import open_works
from server.cli import main
from server.config import load_config
from server.jobs.periods import review_periods
from server.jobs.schedule import Schedule
from server.jobs.works import Works
from server.periods import DAY_MS, HOUR_MS, Interval, Step
from server.rollup.combine import total
from server.rollup.model import Grade
from tests.server.running import FixedClock
from tests.server.small_site import at
from tests.server.test_site_mistakes import GOOD, written

START, END = at("2026-03-01T00:00"), at("2026-04-01T00:00")
NOW = at("2026-04-03T00:00")
MARCH = Interval(START, END)
Run = Callable[..., str]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    written(tmp_path, GOOD)
    (tmp_path / "tokens").write_text("t")
    path = tmp_path / "server.yaml"
    path.write_text(
        yaml.safe_dump({
            "site_file": "./site.yaml", "store": {"url": "duckdb:///./r.duckdb"},
            "state": {"url": "sqlite:///./s.db"}, "write_tokens_file": "./tokens",
        })
    )  # fmt: skip
    with_works(path, lambda it: fill(it, 0.9))
    return path


@pytest.fixture
def run(config: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str, code: int = 0) -> str:
        assert main([*arguments, "--config", str(config)]) == code
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return said.out + said.err

    return command


def with_works(config: Path, act: Callable[[Works], object]) -> object:
    works = open_works(load_config(config))
    try:
        return act(works)
    finally:
        works.store.close()
        works.state.close()


def fill(it: Works, share: float) -> None:
    """Give E1 4 kWh an hour and E2 a share of it, for March and a little more."""
    lines = [
        f"electricity,device={d},site=yard energy_import_kwh={round(rate * n, 3)!r} {t}"
        for d, rate in (("E1", 1.0), ("E2", share))
        for n, t in enumerate(range(START - HOUR_MS, END + HOUR_MS, 15 * 60_000))
    ]
    assert not it.store.write_lines("\n".join(lines).encode()).errors
    roll(it)


def roll(it: Works) -> None:
    Schedule(it, FixedClock(NOW)).roll_up()


def month(it: Works, meter: str) -> tuple[float | None, Grade]:
    r = it.store.read_rollups(it.site, [meter], Step.DAY, MARCH)[meter]
    value, _, grade = total(r)
    return value, grade


def recomputed(config: Path, meter: str) -> tuple[float | None, Grade]:
    def act(it: Works) -> tuple[float | None, Grade]:
        roll(it)
        return month(it, meter)

    return with_works(config, act)  # type: ignore[return-value] # what act gives


def test_a_span_is_left_out_and_the_total_stays(run: Run, config: Path) -> None:
    before = recomputed(config, "E1")
    run("repair", "exclude", "--meter", "E1", "--from", "2026-03-05T08:00", "--to",
        "2026-03-05T20:00", "--reason", "接线错误", "--author", "王")  # fmt: skip
    after = recomputed(config, "E1")
    assert before == (2976.0, Grade.MEASURED)
    assert after == (2976.0, Grade.ESTIMATED)
    assert "接线错误" in run("repair", "list")
    assert "repair.exclude" in run("audit")
    run("repair", "undo", "1", "--reason", "查明无误", "--author", "李")
    assert recomputed(config, "E1") == before
    assert "a repair that stands" in run("repair", "undo", "1", "--reason", "x", code=2)


def test_bills_give_a_building_without_meters_its_consumption(
    run: Run, config: Path, tmp_path: Path
) -> None:
    bills = tmp_path / "bills.csv"
    bills.write_text("表,起,止,数量,金额\nB1,2026-03-01,2026-04-01,3100,2139\n", "utf-8")
    run("repair", "bills", str(bills), "--reason", "三月电费单")
    assert recomputed(config, "B1") == (3100.0, Grade.MANUAL)


def test_a_bill_out_of_the_price_band_is_doubted(run: Run, tmp_path: Path, config: Path) -> None:
    bills = tmp_path / "bills.csv"
    bills.write_text("表,起,止,数量,金额\nB1,2026-03-01,2026-04-01,3100,21390\n", "utf-8")
    said = run("repair", "bills", str(bills), "--reason", "三月", code=1)
    assert "单价 6.9000" in said
    assert recomputed(config, "B1")[0] is None
    run("repair", "bills", str(bills), "--reason", "三月，已核实", "--accept")
    assert recomputed(config, "B1")[0] == 3100.0


def test_a_bill_far_from_last_years_is_doubted(run: Run, tmp_path: Path) -> None:
    for year, quantity, code in ((2025, 1000, 0), (2026, 1500, 1)):
        path = tmp_path / f"{year}.csv"
        path.write_text(f"表,起,止,数量\nB1,{year}-03-01,{year}-04-01,{quantity}\n", "utf-8")
        said = run("repair", "bills", str(path), "--reason", "x", code=code)
    assert "同比 +50.0%" in said


def test_hand_readings_and_curves_are_taken_from_excel_and_csv(
    run: Run, config: Path, tmp_path: Path
) -> None:
    hand = tmp_path / "hand.csv"
    hand.write_text("表,时间,读数\nB1,2026-03-01 00:00,500\nB1,2026-04-01 00:00,810\n", "utf-8")
    run("repair", "readings", str(hand), "--reason", "抄表")
    assert recomputed(config, "B1") == (310.0, Grade.MANUAL)
    curve = tmp_path / "curve.csv"
    curve.write_text("表,起,止,数量\nB1,2026-03-01 00:00,2026-03-01 01:00,2.5\n", "utf-8")
    run("repair", "curve", str(curve), "--reason", "供电公司曲线")
    assert recomputed(config, "B1")[0] == pytest.approx(310 + 2.5 - 310 / 31 / 24, abs=1e-5)


def test_wrong_files_are_told_by_row(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text("表,起,止,数量\nE9,2026-03-01,2026-02-01,x\n", "utf-8")
    said = run("repair", "bills", str(path), "--reason", "x", code=2)
    for text in ("row 2, 表", "row 2, 止", "row 2, 数量"):
        assert text in said


def test_replacing_a_span_puts_other_readings_in(run: Run, config: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("表,时间,读数\nE1,2026-03-05 12:00,437\n", "utf-8")
    run("repair", "exclude", "--meter", "E1", "--from", "2026-03-05T08:00", "--to",
        "2026-03-05T20:00", "--with", str(path), "--reason", "换上抄见数")  # fmt: skip
    assert recomputed(config, "E1")[0] == 2976.0


def test_a_month_out_of_balance_is_not_closed(run: Run, config: Path) -> None:
    said = run("balance", "--from", "2026-03-01", "--to", "2026-04-01")
    assert "+10.00%" in said
    closing = ("period", "close", "2026-03", "--reason", "月结", "--author", "王")
    assert "超过 5%" in run(*closing, code=1)
    assert "2026-03 已结账" in run(*closing, "--accept")


def test_the_loss_of_every_interval_is_shown_and_unknown_is_not_zero(
    run: Run, config: Path
) -> None:
    def lose(it: Works) -> None:
        point = PointId("yard", "E2", "energy_import_kwh")
        it.store.delete([point], Interval(at("2026-03-30T00:00"), END + DAY_MS))
        it.state.books.touch("E2", at("2026-03-30T00:00"), END, "test")
        roll(it)

    span = ("--from", "2026-03-29", "--to", "2026-04-01", "--interval", "1d")
    assert run("balance", *span).count("+10.00%") == 4  # the whole, and three days
    with_works(config, lose)
    by_day = run("balance", *span).partition("by interval")[2]
    assert [d in by_day for d in ("2026-03-29", "2026-03-30", "2026-03-31")] == [True] * 3
    assert by_day.count("—") == by_day.count("不明") == 2


def test_a_closed_month_is_kept_and_a_late_change_opens_a_correction(
    run: Run, config: Path
) -> None:
    with_works(config, lambda it: fill(it, 0.97))
    closing = ("period", "close", "2026-03", "--reason", "月结", "--author", "王")
    run(*closing)

    def late(it: Works) -> None:
        t = END + 2 * DAY_MS
        line = f"electricity,device=E1,site=yard energy_import_kwh=3100.0 {t}"
        exclude = it.store.write_lines(line.encode())
        assert not exclude.errors
        roll(it)

    run("repair", "exclude", "--meter", "E2", "--from", "2026-03-30T00:00", "--to",
        "2026-04-02T00:00", "--reason", "表计故障")  # fmt: skip
    with_works(config, late)
    listed = run("period", "list")
    assert "E2" in listed
    assert "待处理" in listed
    assert "repair 1" in run("changes")
    run("repair", "undo", "1", "--reason", "误判")
    with_works(config, roll)
    assert "待处理" not in run("period", "list")
    assert with_works(config, lambda it: review_periods(it, NOW, None)) == 0


def test_a_second_close_is_a_revision(run: Run, config: Path) -> None:
    closing = ("period", "close", "2026-03", "--reason", "月结", "--author", "王", "--accept")
    run(*closing)
    with_works(config, lambda it: fill(it, 0.5))
    assert "2026-03" in run("period", "list")
    assert "第 2 版" in run(*closing)
    assert "修订 r2" in run("period", "list")


def test_a_changed_factor_area_or_price_opens_a_correction_that_says_why(
    run: Run, config: Path, tmp_path: Path
) -> None:
    site = yaml.safe_load((tmp_path / "site.yaml").read_text("utf-8"))
    written(tmp_path, site | {"tariffs": {"electricity": "hunan-tou"}})
    run("period", "close", "2026-03", "--reason", "月结", "--author", "王", "--accept")
    assert with_works(config, lambda it: review_periods(it, NOW, None)) == 0
    change(tmp_path / "site.yaml", "value: 100", "value: 125")
    moved = with_works(config, lambda it: review_periods(dearer(it), NOW, None))
    causes = {
        c.subject: c.cause
        for c in with_works(config, lambda it: it.state.books.corrections())  # type: ignore[attr-defined] # what act gives
    }
    assert moved == len(causes) > 0
    assert "0.1229" in causes["yard/energy_equivalent_kgce"]
    assert "→ 系数 0.2" in causes["yard/energy_equivalent_kgce"]
    assert (
        causes["hall/energy_per_area_kwh_per_m2"]
        == "分母：建筑面积 100.0 m² → 分母：建筑面积 125.0 m²"
    )
    assert "yard/electricity_cost_yuan" in causes
    assert not {s for s in causes if "energy_kwh" in s}


def dearer(it: Works) -> Works:
    """Give the works with other factors and prices."""
    factors = tuple(replace(f, value=0.2) for f in it.factbook.factors)
    tariffs = tuple(replace(t, price_yuan=t.price_yuan * 2) for t in it.factbook.tariffs)
    return replace(it, factbook=replace(it.factbook, factors=factors, tariffs=tariffs))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize("to", ["2026-03-01", "2026-02-01", "9999-12-31", "0001-01-01"])
def test_a_span_that_is_none_is_told(run: Run, to: str) -> None:
    assert "--from before --to" in run("balance", "--from", "2026-03-01", "--to", to, code=2)


def test_an_open_month_or_a_wrong_label_is_not_closed(run: Run) -> None:
    closing = ("--reason", "r", "--author", "a", "--accept")
    assert "2026-03" in run("period", "close", "2026-13", *closing, code=2)
    assert "尚未结束" in run("period", "close", "2099-01", *closing, code=1)


def test_deleted_readings_are_gone_and_the_deletion_is_audited(run: Run, config: Path) -> None:
    said = run("delete", "--device", "E1", "--measurand", "energy_import_kwh",
               "--from", "2026-03-10", "--to", "2026-03-12", "--reason", "测试数据")  # fmt: skip
    assert "192" in said
    assert recomputed(config, "E1") == (2976.0, Grade.ESTIMATED)
    assert "readings.delete" in run("audit")


def test_a_time_zone_that_changes_under_kept_days_is_refused(run: Run, config: Path) -> None:
    path = config.parent / "site.yaml"
    site = yaml.safe_load(path.read_text("utf-8"))
    site["site"]["timezone"] = "Asia/Urumqi"
    path.write_text(yaml.safe_dump(site, allow_unicode=True), "utf-8")
    said = run("balance", "--from", "2026-03-01", "--to", "2026-04-01", code=2)
    assert "site.timezone" in said
    assert "Asia/Shanghai" in said
    site["site"]["timezone"] = "Asia/Shanghai"
    path.write_text(yaml.safe_dump(site, allow_unicode=True), "utf-8")
    run("balance", "--from", "2026-03-01", "--to", "2026-04-01")
