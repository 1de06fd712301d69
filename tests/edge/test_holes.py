"""Refused registers: found by halving, remembered over a restart, tried again once a day."""

import asyncio
import json
from pathlib import Path

import pytest

from contract.reading import Reading, Reason
from edge.plan import ReadBlock, bisect, fingerprint
from edge.poller import Bus, HoleBook, Unit
from edge.poller.holes import RETRY_MS, pieces
from tests.edge.virtual import (
    NAMES,
    T0_MS,
    ScriptedDriver,
    VirtualClock,
    block,
    in_virtual_time,
    polled,
    unit,
)

WHOLE = block(*NAMES, at=100)  # eight points
MINUTE_MS = 60_000


def bus_of(driver: ScriptedDriver, path: Path, *blocks: ReadBlock) -> Bus:
    """Give a bus as after a start: its one unit knows what the file says."""
    book = HoleBook(path)
    device = unit(1, *blocks)
    device.refused = book.of("D1", "maker/model", device.plan_name)
    device.rebuild()
    return Bus("bus", driver, [device], MINUTE_MS, book=book)


def rounds(bus: Bus, count: int, start: int = 0, each_ms: int = MINUTE_MS) -> list[list[Reading]]:
    async def some(clock: VirtualClock) -> list[list[Reading]]:
        found = []
        for i in range(start, start + count):
            at_ms = T0_MS + i * each_ms
            await asyncio.sleep((at_ms - clock.now_ms()) / 1000)
            found.append(await polled(bus, at_ms, clock))
            if bus.book is not None and bus.book.is_changed:
                bus.book.save()
        return found

    return in_virtual_time(some)


def spans(driver: ScriptedDriver) -> list[tuple[int, int]]:
    found = [(b.address, b.count) for _, b in driver.asked]
    driver.asked.clear()
    return found


def test_a_hole_is_found_with_two_requests_a_halving_and_left_out_from_then_on(
    tmp_path: Path,
) -> None:
    driver = ScriptedDriver()
    driver.refused = {102}
    bus = bus_of(driver, tmp_path / "h.json", WHOLE)
    (first,) = rounds(bus, 1)
    assert spans(driver) == [
        (100, 8), (100, 4), (100, 2), (102, 2), (102, 1), (103, 1), (104, 4),
    ]  # fmt: skip
    assert [r.reason for r in first].count(Reason.GOOD) == 7  # nothing is lost meanwhile
    for later in rounds(bus, 3, start=1):
        reasons = {r.point.measurand: r.reason for r in later}
        assert len(reasons) == 8
        assert reasons.pop("voltage_l1_v") is Reason.ILLEGAL_ADDRESS
        assert set(reasons.values()) == {Reason.GOOD}
    assert spans(driver) == [(100, 2), (103, 5)] * 3


def test_holes_are_remembered_over_a_restart(tmp_path: Path) -> None:
    driver = ScriptedDriver()
    driver.refused = {102, 107}
    rounds(bus_of(driver, tmp_path / "h.json", WHOLE), 1)
    spans(driver)
    rounds(bus_of(driver, tmp_path / "h.json", WHOLE), 1)
    assert spans(driver) == [(100, 2), (103, 4)]


def test_the_newest_readings_outlive_a_change_of_what_is_asked(tmp_path: Path) -> None:
    driver = ScriptedDriver()
    driver.refused = {102}
    bus = bus_of(driver, tmp_path / "h.json", WHOLE)
    (device,) = bus.units
    rounds(bus, 1)
    assert {r.time_ms for r in device.newest().values()} == {T0_MS}
    assert set(device.newest()) == set(NAMES)
    driver.says = lambda _, b: Reason.TIMEOUT if b.address > 102 else None
    rounds(bus, 1, start=1)
    newest = device.newest()
    assert set(newest) == set(NAMES)
    assert {r.time_ms for r in newest.values()} == {T0_MS + MINUTE_MS}
    assert newest["power_kw"].value == 7
    assert newest["voltage_l1_v"].reason is Reason.ILLEGAL_ADDRESS
    assert newest["current_l3_a"].reason is Reason.TIMEOUT


def test_another_plan_or_profile_starts_without_holes(tmp_path: Path) -> None:
    driver = ScriptedDriver()
    driver.refused = {102}
    rounds(bus_of(driver, tmp_path / "h.json", WHOLE), 1)
    book = HoleBook(tmp_path / "h.json")
    assert book.of("D1", "maker/model", fingerprint([WHOLE])).holes
    assert not book.of("D1", "maker/other", fingerprint([WHOLE])).holes
    assert not book.of("D1", "maker/model", fingerprint([block(*NAMES[:4], at=100)])).holes


def test_a_hole_is_tried_once_a_day_and_healed_when_it_answers(tmp_path: Path) -> None:
    driver = ScriptedDriver()
    driver.refused = {102}
    bus = bus_of(driver, tmp_path / "h.json", WHOLE)
    hour = RETRY_MS // 24
    rounds(bus, 50, each_ms=hour)
    assert [s for s in spans(driver)[7:] if s == (102, 1)] == [(102, 1)] * 2
    driver.refused.clear()
    found = rounds(bus, 25, start=50, each_ms=hour)
    assert not any(r.reason.is_bad for r in found[-1])
    assert spans(driver)[-1] == (100, 8)
    assert json.loads((tmp_path / "h.json").read_text())["devices"] == {}


def test_a_block_that_reads_over_missing_registers_is_cut_and_stays_cut(tmp_path: Path) -> None:
    gap = ReadBlock(3, 100, 20, (*block(*NAMES[:2], at=100).points,
                                 *block(*NAMES[2:4], at=118).points))  # fmt: skip
    driver = ScriptedDriver()
    driver.refused = {110}
    (first,) = rounds(bus_of(driver, tmp_path / "h.json", gap), 1)
    assert spans(driver) == [(100, 20), (100, 2), (118, 2)]
    assert not any(r.reason.is_bad for r in first)
    rounds(bus_of(driver, tmp_path / "h.json", gap), 2)
    assert spans(driver) == [(100, 2), (118, 2)] * 2


def test_a_device_that_refuses_everything_is_not_well_and_loses_no_register(
    tmp_path: Path,
) -> None:
    driver = ScriptedDriver()
    driver.refused = set(range(200))
    bus = bus_of(driver, tmp_path / "h.json", WHOLE)
    rounds(bus, 10)
    assert len(spans(driver)) == 15 + 9  # searched once, then asked once a slot
    driver.refused.clear()
    (found,) = rounds(bus, 1, start=10)
    assert not any(r.reason.is_bad for r in found)
    assert not (tmp_path / "h.json").exists()


def test_a_block_refused_whole_is_left_out_when_the_device_answers_others(tmp_path: Path) -> None:
    driver = ScriptedDriver()
    driver.refused = set(range(100, 108))
    bus = bus_of(driver, tmp_path / "h.json", block(*NAMES[:2], at=100), block(NAMES[3], at=50))
    rounds(bus, 3)
    assert spans(driver) == [(100, 2), (100, 1), (101, 1), (50, 1), (50, 1), (50, 1)]


def test_a_search_that_meets_silence_concludes_nothing(tmp_path: Path) -> None:
    driver = ScriptedDriver()
    driver.refused = {102}
    driver.says = lambda _, b: Reason.TIMEOUT if b.address == 104 else None
    bus = bus_of(driver, tmp_path / "h.json", WHOLE)
    (found,) = rounds(bus, 1)
    assert [r.reason for r in found].count(Reason.GOOD) == 3
    assert not bus.units[0].refused.holes
    assert not bus.units[0].breaker.is_open


@pytest.mark.parametrize(
    "content",
    ["", "nonsense", "[]", '{"version": 2, "devices": {}}', '{"version": 1, "devices": []}',
     '{"version": 1, "devices": {"D1": 5}}',
     '{"version": 1, "devices": {"D1": {"profile": "p", "plan": "q", "holes": [[3]]}}}'],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_no_harm(tmp_path: Path, content: str) -> None:
    path = tmp_path / "h.json"
    path.write_text(content)
    book = HoleBook(path)
    refused = book.of("D1", "p", "q")
    assert (refused.holes, refused.cuts) == ({}, set())
    assert book.broken
    refused.holes[3, 7] = T0_MS
    book.save()
    again = HoleBook(path)
    assert again.of("D1", "p", "q").holes == {(3, 7): T0_MS}
    assert again.broken is None


def test_pieces_keep_every_point_once_and_read_over_no_hole() -> None:
    whole, left_out = pieces([WHOLE], {(3, 103)}, {(3, 106)})
    assert [(b.address, b.count) for b in whole] == [(100, 3), (104, 2), (106, 2)]
    assert [b.points[0].address for b in left_out] == [103]


def test_halves_keep_to_even_addresses_where_the_device_wants_them() -> None:
    halves = bisect(block(*NAMES[:6], at=100), even=True)
    assert [(b.address, b.count) for b in halves] == [(100, 4), (102, 4)]


def test_units_of_one_book_do_not_forget_each_other(tmp_path: Path) -> None:
    book = HoleBook(tmp_path / "h.json")
    first: Unit = unit(1, WHOLE)
    book.of("D1", "p", first.plan_name).holes[3, 1] = T0_MS
    book.of("D2", "p", first.plan_name).holes[0, "a/b"] = T0_MS
    book.save()
    again = HoleBook(tmp_path / "h.json")
    assert again.of("D1", "p", first.plan_name).holes == {(3, 1): T0_MS}
    assert again.of("D2", "p", first.plan_name).holes == {(0, "a/b"): T0_MS}
