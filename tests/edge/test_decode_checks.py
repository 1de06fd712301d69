"""Cross-checks: what contradicts itself is doubted, what is merely coarse or unusual is not."""

import pytest

from contract.reading import PointId, Reading, Reason
from edge.decode import counters, cross_check, cross_checked, decode, decode_columns
from edge.decode.checks import doubts
from edge.decode.forms import Source
from edge.plan import RawBlock, ReadBlock
from edge.profile import PointSpec

GOOD = {
    "power_kw": 30.0, "power_l1_kw": 10.0, "power_l2_kw": 11.0, "power_l3_kw": 9.0,
    "apparent_power_kva": 32.0, "power_factor": 0.94,
    "voltage_l1_v": 231.0, "voltage_l2_v": 229.0, "voltage_l3_v": 230.0,
    "current_l1_a": 46.0, "current_l2_a": 50.0, "current_l3_a": 42.0,
    "energy_import_kwh": 1000.0,
}  # fmt: skip
PHASES = {"power_kw", "power_l1_kw", "power_l2_kw", "power_l3_kw"}


def without(*names: str) -> dict[str, float]:
    return {k: v for k, v in GOOD.items() if k not in names}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"power_l1_kw": 12.0},  # the load rose between two requests
        {"power_kw": -30.0, "power_l1_kw": -10.0, "power_l2_kw": -11.0, "power_l3_kw": -9.0},
        {"voltage_l1_v": 0.0},  # a lost phase is real
        {"voltage_l1_v": 0.0, "voltage_l2_v": 0.0},
        {"power_factor": -0.94},  # its sign means different things in different meters
        {"energy_import_kwh": 1000.5},
        {"apparent_power_kva": 29.5},
    ],
)
def test_what_can_be_is_not_doubted(change: dict[str, float]) -> None:
    assert doubts({**GOOD, **change}, {"energy_import_kwh": 1000.0}) == {}


@pytest.mark.parametrize(
    ("change", "doubted"),
    [
        ({"power_l1_kw": 100.0}, PHASES),
        ({"power_l3_kw": -9.0}, PHASES),
        ({"apparent_power_kva": 20.0}, {"power_kw", "apparent_power_kva", "power_factor"}),
        ({"power_factor": 0.5}, {"power_factor"}),
        ({"voltage_l2_v": 398.0}, {"voltage_l2_v"}),
    ],
)
def test_what_contradicts_the_rest_is_doubted(change: dict[str, float], doubted: set[str]) -> None:
    found = doubts({**GOOD, **change}, {})
    assert found == dict.fromkeys(doubted, Reason.CROSS_CHECK)


def test_without_apparent_power_the_currents_say_how_much_power_there_can_be() -> None:
    values = without("apparent_power_kva", "power_l1_kw", "power_l2_kw", "power_l3_kw")
    assert doubts(values, {}) == {}
    assert doubts({**values, "power_kw": 300.0}, {}) == {"power_kw": Reason.CROSS_CHECK}
    assert doubts({"power_kw": 300.0, "voltage_l1_v": 230.0}, {}) == {}


def test_a_counter_that_steps_back_is_doubted_once() -> None:
    point = PointId("s", "d", "energy_import_kwh")
    previous: dict[str, float] = {}
    reasons = []
    for i, value in enumerate([100.0, 101.0, 5.0, 5.0, 6.0]):
        (reading,) = cross_checked([Reading(point, i, value)], previous)
        assert reading.value == value
        reasons.append(reading.reason)
        previous |= counters([reading])
    back = Reason.COUNTER_BACKWARD
    assert reasons == [Reason.GOOD, Reason.GOOD, back, Reason.GOOD, Reason.GOOD]


def test_a_missing_reading_is_left_alone_and_keeps_its_counter() -> None:
    point = PointId("s", "d", "energy_import_kwh")
    gone = Reading(point, 0, None, Reason.TIMEOUT)
    assert cross_checked([gone], {"energy_import_kwh": 5.0}) == [gone]
    assert counters([gone]) == {}


def test_an_uncertain_reading_keeps_its_own_reason() -> None:
    point = PointId("s", "d", "energy_import_kwh")
    unsynced = Reading(point, 0, 1.0, Reason.CLOCK_UNSYNCED)
    assert cross_checked([unsynced], {"energy_import_kwh": 5.0}) == [unsynced]


def test_columns_are_doubted_as_readings_are() -> None:
    source = Source("s", "d")
    powers = tuple(PointSpec(name, 3, i, "s16", unit="kW") for i, name in enumerate(sorted(PHASES)))
    energy = (PointSpec("energy_import_kwh", 3, 20, "u16", unit="kWh"),)
    raws = [
        RawBlock(ReadBlock(3, 0, 4, powers), (30, 100, 11, 9)),
        RawBlock(ReadBlock(3, 20, 1, energy), (7,)),
    ]
    before = {"energy_import_kwh": 8.0}
    readings = cross_checked([r for raw in raws for r in decode(raw, source, 0)], before)
    columns = [decode_columns(raw, source) for raw in raws]
    assert cross_check(columns, before) == before | counters(readings)
    assert [c.doubts.get(i) for c in columns for i in range(len(c.values))] == [
        r.reason for r in readings
    ]
    assert {r.reason for r in readings} == {Reason.CROSS_CHECK, Reason.COUNTER_BACKWARD}
