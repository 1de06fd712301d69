"""Whatever comes, in whatever order: the rollups equal a computation from scratch, bit for bit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from server.factbook.load import load_factbook
from server.jobs.entries import faults_of, fixed_before
from server.jobs.rolling import roll_up
from server.jobs.schedule import Schedule
from server.jobs.touched import apply_site
from server.jobs.works import Works
from server.periods import DAY_MS, HOUR_MS, KEPT_STEPS, MINUTE_MS, Interval, Step
from server.rollup.model import Grade
from server.rollup.places import place_key, places
from server.site.expression import parse
from server.site.model import (
    Area,
    Building,
    Carrier,
    Correction,
    Meter,
    MeterKind,
    Role,
    Scope,
    Since,
    Site,
)
from server.state import open_state
from server.state.books import NewRepair, RepairKind
from server.store.duck import DuckStore
from tests.server.fault_cases import MINUTES, T0, combined
from tests.server.running import FixedClock

KWH = Carrier.ELECTRICITY
END = T0 + MINUTES * MINUTE_MS
NOW = END + 2 * DAY_MS
WHOLE = Interval(T0 - DAY_MS, END + DAY_MS)
SEEDS = range(20)


def meter(name: str, **more: object) -> Meter:
    given: dict[str, object] = {
        "device": name, "measurand": "energy_import_kwh", "parent": "E0", "role": Role.SUB,
        "max_power": 300.0, **more,
    }  # fmt: skip
    return Meter(id=name, name=name, carrier=KWH, building="b", end_use="01B00", **given)  # type: ignore[arg-type] # by name


def computed(name: str, kind: MeterKind, **more: object) -> Meter:
    return meter(name, device="", measurand="", parent=None, kind=kind, is_counted=False, **more)


SITE = Site(
    "s", "大院", "中心", ZoneInfo("Asia/Shanghai"), (Building("b", "楼"),),
    (
        meter("E0", role=Role.MAIN, parent=None),
        meter("E1", area="f1"),
        meter("E2", area="f2"),
        computed("V1", MeterKind.VIRTUAL, expression=parse("E1 + 0.35 * E2 + 1.5 kW")),
        computed("R0", MeterKind.RESIDUAL, of="E0"),
    ),
    areas=(Area("f1", "一层", "b"), Area("f2", "二层", "b")),
)  # fmt: skip


def keys_of(site: Site) -> list[str]:
    return [m.id for m in site.meters] + [place_key(p, KWH) for p in places(site)]


KEYS = keys_of(SITE)
Line = tuple[str, int, float]


@contextmanager
def works(folder: Path, site: Site = SITE) -> Iterator[Works]:
    folder.mkdir(exist_ok=True)
    store = DuckStore(folder / "r.duckdb")
    state = open_state(f"sqlite:///{folder / 's.db'}")
    try:
        yield Works(store, state, site, load_factbook(), ())
    finally:
        store.close()
        state.close()


def lines_of(seed: int) -> list[Line]:
    """Give the readings of three faulty meters."""
    out: list[Line] = []
    for number, name in enumerate(("E0", "E1", "E2")):
        case, _ = combined(50_000 + 3 * seed + number)
        series = case.series()
        step = 1 if case.every > 1 else 5
        out += [
            (name, t, v)
            for t, v in zip(
                series.times_ms[::step].tolist(), series.values[::step].tolist(), strict=True
            )
        ]
    return out


def write(it: Works, lines: list[Line]) -> None:
    body = "\n".join(
        f"electricity,device={d},site=s energy_import_kwh={v!r} {t}" for d, t, v in lines
    )
    assert not it.store.write_lines(body.encode()).errors


def everything(it: Works) -> dict[tuple[str, Step], tuple[np.ndarray, ...]]:
    out: dict[tuple[str, Step], tuple[np.ndarray, ...]] = {}
    for step in KEPT_STEPS:
        for key, r in it.store.read_rollups(it.site, keys_of(it.site), step, WHOLE).items():
            coverage = np.where(np.isnan(r.values), 0.0, r.coverage)
            out[key, step] = (r.values, coverage, r.grades)
    return out


def assert_same(found: Works, fresh: Works) -> None:
    a, b = everything(found), everything(fresh)
    for key, columns in a.items():
        for mine, theirs in zip(columns, b[key], strict=True):
            off = np.flatnonzero(~((mine == theirs) | (np.isnan(mine) & np.isnan(theirs))))
            assert not len(off), (key, off[:3], mine[off][:3], theirs[off][:3])


def deliveries(lines: list[Line], rng: np.random.Generator) -> Iterator[list[Line]]:
    """Give the readings as they arrive: mostly in order, some hours late, some twice."""
    times = np.array([t for _, t, _ in lines])
    delay = np.where(rng.random(len(lines)) < 0.2, rng.integers(0, 40, len(lines)) * HOUR_MS, 0)
    hour = (times + delay) // (6 * HOUR_MS)
    for at in np.unique(hour):
        part = [lines[i] for i in np.flatnonzero(hour == at)]
        yield [*part, *part[:3]]


def repairs(rng: np.random.Generator) -> list[NewRepair]:
    at = T0 + int(rng.integers(10, 50)) * HOUR_MS
    span = (at, at + int(rng.integers(1, 8)) * HOUR_MS)
    content: dict[RepairKind, dict[str, object]] = {
        RepairKind.EXCLUDE: {},
        RepairKind.BILL: {"quantity": "123.456789"},
        RepairKind.READING: {"readings": [[span[0] + 7 * MINUTE_MS, 5000.0]]},
        RepairKind.CURVE: {"intervals": [[span[0], span[1], "7.5"]]},
    }
    kinds = list(content)
    picked = [kinds[int(k)] for k in rng.permutation(len(kinds))[:2]]
    return [NewRepair(k, "E1", *span, content[k], "test", "me") for k in picked]


@pytest.mark.parametrize("seed", SEEDS)
def test_late_and_repaired_readings_give_what_a_fresh_computation_gives(
    seed: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    lines = lines_of(seed)
    entered = repairs(rng)
    with works(tmp_path / "live") as live, works(tmp_path / "fresh") as fresh:
        schedule = Schedule(live, FixedClock(NOW))
        for number, part in enumerate(deliveries(lines, rng)):
            write(live, part)
            if number == 4:
                first, second = live.state.books.enter(entered, NOW)
            if number == 8:
                live.state.books.undo(first, "me", "wrong", NOW)
            if number == 6:
                live.store.maintain(live.state.mark("written") or 0, NOW, None)
            schedule.roll_up()
        live.state.books.enter(entered[:1], NOW)
        schedule.roll_up()
        write(fresh, lines)
        fresh.state.books.enter([entered[1], entered[0]], NOW)
        roll_up(fresh, WHOLE, NOW)
        assert_same(live, fresh)
        roll_up(live, WHOLE, NOW)
        assert_same(live, fresh)
    assert second > first


def test_a_changed_site_file_is_followed_from_where_it_changed(tmp_path: Path) -> None:
    lines = lines_of(7)
    change = T0 + 30 * HOUR_MS
    doubled = replace(
        SITE.meter("E1"), ratios=(Since(None, 1.0), Since(change, 2.0)),
        corrections=(Correction(change + HOUR_MS, change + 2 * HOUR_MS, 1.5, "缺相"),),
    )  # fmt: skip
    site = replace(SITE, meters=(SITE.meters[0], doubled, *SITE.meters[2:]))
    with works(tmp_path / "live") as live:
        apply_site(live.state, live.site, T0)
        write(live, lines)
        Schedule(live, FixedClock(NOW)).roll_up()
        before = live.store.read_rollups(site, ["E1"], Step.DAY, WHOLE)["E1"].values
    with works(tmp_path / "live", site) as live, works(tmp_path / "fresh", site) as fresh:
        assert apply_site(live.state, site, T0) == ["ratios of E1", "corrections of E1"]
        Schedule(live, FixedClock(NOW)).roll_up()
        write(fresh, lines)
        roll_up(fresh, WHOLE, NOW)
        assert_same(live, fresh)
        after = live.store.read_rollups(site, ["E1"], Step.DAY, WHOLE)["E1"].values
        notes = [n for n in live.state.books.notes() if n.meter == "E1"]
    assert after[1] == before[1]
    assert after[2] > before[2]
    assert [n.cause for n in notes] == ["site: corrections of E1"]
    assert notes[0].before == before[2:4].sum().round(6)
    assert notes[0].after == after[2:4].sum().round(6)


def moved(site: Site, **changes: object) -> Site:
    return replace(site, **changes)  # type: ignore[arg-type] # by name


LOOSE = moved(
    SITE, meters=tuple(replace(m, parent=None) for m in SITE.meters if m.id in {"E1", "E2"}),
    buildings=(Building("b", "楼"), Building("c", "附楼")),
)  # fmt: skip
PLACES = {
    "a building goes to the ledger": moved(
        LOOSE, buildings=(Building("b", "楼", scope=Scope.LEDGER), Building("c", "附楼"))
    ),
    "an area goes to another building": moved(
        LOOSE, areas=(Area("f1", "一层", "c"), Area("f2", "二层", "b"))
    ),
    "an area goes into another": moved(
        LOOSE, areas=(Area("f1", "一层", "b"), Area("f2", "二层", "b", parent="f1"))
    ),
}


@pytest.mark.parametrize("change", PLACES)
def test_totals_follow_places_that_were_moved(change: str, tmp_path: Path) -> None:
    lines, after = lines_of(7), PLACES[change]
    with works(tmp_path / "live", LOOSE) as live:
        apply_site(live.state, LOOSE, T0)
        write(live, lines)
        Schedule(live, FixedClock(NOW)).roll_up()
        before = everything(live)
    with works(tmp_path / "live", after) as live, works(tmp_path / "fresh", after) as fresh:
        assert apply_site(live.state, after, T0)
        Schedule(live, FixedClock(NOW)).roll_up()
        write(fresh, lines)
        roll_up(fresh, WHOLE, NOW)
        assert_same(live, fresh)
        changed = [k for k, v in everything(live).items() if not np.array_equal(
            v[0], before[k][0], equal_nan=True)]  # fmt: skip
        assert changed


def test_what_is_no_longer_kept_as_readings_stands_as_it_was_computed(tmp_path: Path) -> None:
    lines = lines_of(3)
    later = NOW + 65 * DAY_MS
    clock = FixedClock(NOW)
    with works(tmp_path / "live") as live:
        write(live, lines)
        Schedule(live, clock).roll_up()
        before = everything(live)
        noted = len(live.state.books.notes())
        schedule = Schedule(live, FixedClock(later), keep_raw_months=2)
        schedule.maintain()
        assert live.store.first_ms("s") is None
        write(live, [("E0", T0 + 20 * HOUR_MS + 123, lines[0][2])])
        late = repairs(np.random.default_rng(1))
        fixed_ms = fixed_before(live.state, SITE.meter("E1"))
        assert all("readings are kept" in next(faults_of(r, later, fixed_ms)) for r in late)
        live.state.books.enter(late, later)
        schedule.roll_up()
        roll_up(live, WHOLE, later)
        after = everything(live)
        assert len(live.state.books.notes()) == noted
    for key, columns in before.items():
        for mine, theirs in zip(columns, after[key], strict=True):
            assert np.array_equal(mine, theirs, equal_nan=True), key


def test_housekeeping_is_done_once_a_day_however_often_the_server_starts(tmp_path: Path) -> None:
    lines = lines_of(3)
    with works(tmp_path / "live") as live:
        write(live, lines)
        for at, keeps_any in ((NOW, True), (NOW + HOUR_MS, True), (NOW + DAY_MS, False)):
            schedule = Schedule(live, FixedClock(at))
            # a retention that would drop all from the second run on
            schedule.keep_raw_months = 2 if at == NOW else -1
            schedule.maintain()
            assert (live.store.first_ms("s") is not None) is keeps_any


def test_what_was_counted_at_a_guessed_time_stands_as_an_estimate(tmp_path: Path) -> None:
    lines = [("E0", T0 + n * HOUR_MS // 4, 100.0 + n) for n in range(40)]
    guessed = range(12, 17)  # read before the time was known
    body = "\n".join(
        f"electricity,device=E0,site=s energy_import_kwh={v!r},energy_import_kwh_q=1.0 {t}"
        for _, t, v in (lines[n] for n in guessed)
    )
    span = Interval(T0, lines[-1][1])
    with works(tmp_path / "live") as live, works(tmp_path / "fresh") as fresh:
        write(live, [row for n, row in enumerate(lines) if n not in guessed])
        Schedule(live, FixedClock(NOW)).roll_up()
        assert not live.store.write_lines(body.encode()).errors
        Schedule(live, FixedClock(NOW)).roll_up()
        found = live.store.read_rollups(live.site, ["E0"], Step.QUARTER, span)["E0"]
        write(fresh, lines)
        assert not fresh.store.write_lines(body.encode()).errors
        roll_up(fresh, WHOLE, NOW)
        assert_same(live, fresh)
    assert found.values.tolist() == [1.0] * 39
    assert found.coverage.tolist() == [1.0] * 39
    estimated = np.flatnonzero(found.grades == Grade.ESTIMATED).tolist()
    assert estimated == list(range(11, 17))
