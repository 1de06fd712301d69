"""The compound is deterministic, adds up, follows the calendar, and is clean outside its wastes."""

from datetime import UTC, datetime

import numpy as np
import pytest

from contract.line import decode
from simulators.compound import Compound
from simulators.conditions import STEP_MS
from simulators.history import block_lines
from simulators.layout import PLACES, SITE, meters

DAY_MS = 86_400_000


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text + "+08:00").astimezone(UTC).timestamp() * 1000)


NOW = ms("2026-11-24T00:00")
START = ms("2025-09-24T00:00")


@pytest.fixture(scope="module")
def compound() -> Compound:
    return Compound.build(7, START, NOW + DAY_MS, NOW)


def test_the_same_seed_gives_the_same_compound(compound: Compound) -> None:
    again = Compound.build(7, START, NOW + DAY_MS, NOW)
    assert again.wastes == compound.wastes
    assert all(np.array_equal(again.total[m], compound.total[m]) for m in compound.total)
    assert Compound.build(8, START, NOW + DAY_MS, NOW).wastes != compound.wastes


def test_the_compound_has_the_meters_it_should() -> None:
    electric = [m for m in meters() if m.carrier == "electricity"]
    assert len(electric) >= 40
    assert sum(m.carrier == "water" for m in meters()) >= 8
    assert {m.end_use[:3] for m in electric if m.role == "sub"} == {"01A", "01B", "01C", "01D"}
    assert sum(bool(p.gate) for p in PLACES) == 2


def test_counters_are_the_integrals_of_the_load(compound: Compound) -> None:
    steps = np.arange(START, START + 30 * DAY_MS, STEP_MS)
    for meter in ("E04", "E10", "W01"):
        integral = float(compound.load_at(meter, steps).sum()) / 12
        assert compound.truth(meter, START, START + 30 * DAY_MS) == pytest.approx(integral)


def test_a_main_is_the_sum_of_what_lies_below_it(compound: Compound) -> None:
    for main in ("E00", "E01", "W00"):
        below = [m.id for m in meters() if m.parent == main]
        total = sum(compound.truth(m, START, NOW) for m in below)
        assert compound.truth(main, START, NOW) == pytest.approx(total)


def test_registers_show_whole_steps_below_the_truth(compound: Compound) -> None:
    times = np.arange(START, NOW, 7 * DAY_MS)
    for m in meters():
        shown = compound.counter(m.id, times) - m.initial
        lag = compound.consumed(m.id, times) - shown
        assert np.all(np.diff(shown) >= 0)
        assert np.all(np.abs(lag) <= compound.counter_step(m.id))


def test_a_year_is_plausible_for_a_county_compound(compound: Compound) -> None:
    year = NOW - 365 * DAY_MS
    area, people = sum(p.area_m2 for p in PLACES), sum(p.people for p in PLACES)
    assert 30 <= compound.truth("E00", year, NOW) / area <= 60
    assert 12 <= compound.truth("W00", year, NOW) / people <= 30


@pytest.mark.parametrize(
    ("day", "is_worked"),
    [
        ("2026-02-14", True),  # a Saturday worked for the spring festival
        ("2026-02-17", False),  # spring festival, a Tuesday
        ("2026-10-10", True),  # a Saturday worked for the national holiday
        ("2026-11-21", False),  # an ordinary Saturday
    ],
)
def test_loads_follow_the_published_calendar(
    compound: Compound,
    day: str,
    is_worked: bool,
) -> None:
    sockets = compound.load_at("E02", ms(f"{day}T10:00"))
    assert (sockets > 0.4 * compound.meters["E02"].rated) == is_worked


def test_gates_balance_every_night(compound: Compound) -> None:
    for gate in ("G01", "G02"):
        nights = np.arange(START + 3 * 3_600_000, NOW, DAY_MS)
        ins, outs = compound.doors_at(gate, nights)
        assert np.array_equal(ins, outs)


def test_wastes_of_every_kind_exist_and_one_leak_still_runs(compound: Compound) -> None:
    kinds = [w.kind for w in compound.wastes]
    assert kinds.count("unattended_ac") >= 25
    assert kinds.count("lights_all_night") >= 20
    assert kinds.count("running_water") >= 5
    assert any(w.kind == "running_water" and w.end_ms > NOW for w in compound.wastes)
    recent = [w for w in compound.wastes if NOW - 11 * DAY_MS <= w.start_ms < NOW]
    assert {w.kind for w in recent} == {"unattended_ac", "lights_all_night", "running_water"}


def test_nothing_is_wasted_outside_the_logged_wastes(compound: Compound) -> None:
    now = compound.conditions
    local_hour = now.hour
    for m in meters():
        load = compound.load[m.id].copy()
        clean = np.ones(len(load), bool)
        for w in compound.wastes:
            if w.meter == m.id:
                a, b = ((t - START) // STEP_MS for t in (w.start_ms, w.end_ms))
                clean[max(0, a) : b] = False
        if m.load == "ac":
            empty = now.presence[m.building] == 0
            assert load[clean & empty].max() == 0.0, m.name
        if m.load == "corridor":
            night = (local_hour >= 22.5) | (local_hour < 5.5)
            assert load[clean & night].max() < 0.2 * m.rated, m.name
        if m.load.startswith("water_") and m.load != "water_irrigation":
            night = (local_hour >= 2) & (local_hour < 4)
            assert load[clean & night].max() == 0.0, m.name


def test_history_lines_are_the_counters_readings(compound: Compound) -> None:
    slots = np.arange(NOW - 3_600_000, NOW + 1, 900_000, dtype=np.int64)
    lines, count = block_lines(compound, slots)
    readings = decode("\n".join(lines))
    assert len(readings) == count
    got = {
        (r.point.device, r.time_ms): r.value for r in readings if r.point.measurand == "volume_m3"
    }
    assert got["W01", int(slots[2])] == float(compound.counter("W01", slots[2]))
    assert {r.point.site for r in readings} == {SITE}
