"""Readings, measurands and slots keep their invariants."""

import pytest

from contract.clock import next_slot, slot_of
from contract.measurand import MEASURANDS, Kind
from contract.reading import PointId, Reading, Reason

POINT = PointId("s", "d", "power_kw")


def test_a_missing_value_always_has_a_bad_reason() -> None:
    with pytest.raises(ValueError, match="GOOD"):
        Reading(POINT, 0, None)
    with pytest.raises(ValueError, match="TIMEOUT"):
        Reading(POINT, 0, 1.0, Reason.TIMEOUT)


def test_an_uncertain_value_stands() -> None:
    assert Reading(POINT, 0, 1.0, Reason.CROSS_CHECK).value == 1.0


def test_names_end_in_their_unit_and_ranges_are_ordered() -> None:
    endings = {"kWh": "_kwh", "kW": "_kw", "m³": "_m3", "°C": "_c", "V": "_v", "A": "_a"}
    for m in MEASURANDS.values():
        assert m.low < m.high
        assert m.name.endswith(endings.get(m.unit, "")), m.name


def test_counters_are_never_negative() -> None:
    assert all(m.low == 0 for m in MEASURANDS.values() if m.kind is Kind.COUNTER)


@pytest.mark.parametrize(("now", "slot", "following"), [(0, 0, 10), (9, 0, 10), (10, 10, 20)])
def test_slots_are_aligned(now: int, slot: int, following: int) -> None:
    assert slot_of(now, 10) == slot
    assert next_slot(now, 10) == following
