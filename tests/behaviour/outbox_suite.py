"""What any outbox must do, on disk or in RAM; subclass it and give `make` as a fixture."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from contract.line import decode, parse_line
from contract.measurand import Medium
from contract.reading import Reason
from edge.clock import ClockMark, ToSlot
from edge.outbox import PRIMARY, Bounds, DeliveryLines, Outbox, Refused
from edge.outbox.thin import HOUR_MS

WIDE = Bounds(10**9, 10**15)
T0 = 1_772_380_800_000
Make = Callable[..., Outbox]  # (bounds, copies=…, delivery=…)


class TestClock:
    """A clock that stands until it is moved."""

    __test__ = False

    def __init__(self) -> None:
        self.ms = T0

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000


def line(slot_ms: int, device: str = "E01") -> str:
    return f"electricity,device={device},site=s power_kw={slot_ms / 7!r},lag_s=0.0 {slot_ms}"


def put(box: Outbox, *slots_s: int, bus: str = "bus") -> None:
    """Put and commit one round a slot."""
    for s in slots_s:
        box.put(bus, T0 + 1000 * s, [line(T0 + 1000 * s)], 1)
        box.commit()


def slots(batch: tuple[object, ...]) -> list[int]:
    return [(p.oldest_ms - T0) // 1000 for p in batch]  # type: ignore[attr-defined] # parcels


def mixed(slot_ms: int) -> list[str]:
    """Give a minute's lines: of a meter, and of the agent itself."""
    volts = ",".join(
        f"voltage_l{i}_v={220 + (slot_ms // 60_000 * i) % 97 / 8!r}" for i in (1, 2, 3)
    )
    kwh = slot_ms / 1e7
    return [
        f"electricity,device=E01,site=s energy_import_kwh={kwh!r},{volts},lag_s=0.01 {slot_ms}",
        f"water,device=W01,site=s volume_m3={kwh / 3!r},pipe_state=3.0,lag_s=0.02 {slot_ms}",
        f"agent,device=a1,site=s uptime_s={slot_ms / 1000!r},polls_total=5.0,lag_s=0.0 {slot_ms}",
    ]


class OutboxSuite:
    """Subclass it and give `make` as a fixture."""

    def test_parcels_come_oldest_first_and_stay_until_settled(self, make: Make) -> None:
        box = make(WIDE)
        put(box, *range(5))
        assert slots(box.take(10**9)) == [0, 1, 2, 3, 4]
        box.settle(box.take(10**9)[:2])
        assert slots(box.take(10**9)) == [2, 3, 4]
        put(box, 5)  # the commit that forgets them
        assert slots(box.take(10**9)) == [2, 3, 4, 5]
        assert box.waiting()[0] == 4

    def test_a_batch_may_be_settled_out_of_order(self, make: Make) -> None:
        box = make(WIDE)
        put(box, *range(6))
        parcels = box.take(10**9)
        box.settle((parcels[4],))
        box.settle((parcels[1],))
        put(box, 6)
        found = []
        while batch := box.take(10**9):
            assert [p.sequence for p in batch] == [
                *range(batch[0].sequence, batch[0].sequence + len(batch))
            ]
            found.append(slots(batch))
            box.settle(batch)
        assert found == [[0], [2, 3], [5, 6]]
        assert box.waiting() == (0, 0)

    def test_settling_twice_counts_once(self, make: Make) -> None:
        box = make(WIDE)
        put(box, 0, 1)
        batch = box.take(10**9)
        box.settle(batch)
        box.settle(batch)
        assert box.waiting() == (0, 0)

    def test_sequence_numbers_are_given_once(self, make: Make) -> None:
        box = make(WIDE)
        seen = []
        for s in range(5):
            put(box, s)
            batch = box.take(10**9)
            box.settle(batch)
            seen += [(p.outbox_id, p.sequence) for p in batch]
        assert [n for _, n in seen] == [1, 2, 3, 4, 5]
        (outbox_id,) = {i for i, _ in seen}
        assert box.sequence_next(outbox_id) == 6
        assert 0 < outbox_id < 2**48

    def test_what_is_new_is_offered_once_and_joins_the_backlog(self, make: Make) -> None:
        box = make(WIDE)
        put(box, 0, 1)
        assert slots(box.take_new(10**9)) == [0, 1]
        assert box.take_new(10**9) == ()
        put(box, 2)
        assert slots(box.take_new(10**9)) == [2]
        assert slots(box.take(10**9)) == [0, 1, 2]

    def test_each_destination_has_its_own_positions(self, make: Make) -> None:
        box = make(WIDE, copies={"c": WIDE})
        put(box, *range(4))
        box.settle(box.take(10**9)[:3])
        assert slots(box.take(10**9)) == [3]
        assert slots(box.take(10**9, "c")) == [0, 1, 2, 3]
        box.settle(box.take(10**9, "c")[:1], (), "c")
        put(box, 4)
        assert slots(box.take(10**9)) == [3, 4]
        assert slots(box.take(10**9, "c")) == [1, 2, 3, 4]
        assert box.waiting()[0] == 2

    def test_a_dead_copy_keeps_no_more_than_its_own_bounds(self, make: Make) -> None:
        box = make(WIDE, copies={"dead": Bounds(2000, 10**15)})
        for s in range(100):
            put(box, s)
            box.settle(box.take(10**9))
        put(box, 100)
        left = box.take(10**9, "dead")
        assert sum(len(p.body) for p in left[:-1]) <= 2000  # the newest still waits for both
        assert slots(left) == list(range(101 - len(left), 101))
        assert box.tally("missed:dead") == 101 - len(left)
        assert slots(box.take(10**9)) == [100]
        assert box.tally("dropped_readings") == 0  # nothing is lost to the primary

    def test_held_parcels_wait_for_their_clock_and_block_nobody(self, make: Make) -> None:
        box = make(WIDE)
        put(box, 0)
        box.put("bus", T0 + 1000, [line(T0 + 1000)], 1, ClockMark("b", 5, 1000))
        put(box, 2)
        found = []
        while batch := box.take(10**9):
            found += slots(batch)
            box.settle(batch)
        assert found == [0, 2]
        assert box.held_boots() == ["b"]
        assert box.restamp("b", ToSlot(60_000), Reason.CLOCK_UNSYNCED) == 1
        (late,) = box.take(10**9)
        assert {r.time_ms for r in decode("\n".join(late.lines()))} == {T0 + 61_000}

    def test_refused_lines_are_kept_with_their_reason(self, make: Make) -> None:
        box = make(WIDE)
        put(box, 0)
        (one,) = box.take(10**9)
        box.settle((one,), [Refused(one.outbox_id, one.sequence, "bad", "why")])
        put(box, 1)
        assert [(r.line, r.reason) for r in box.quarantined()] == [("bad", "why")]
        assert box.tally("quarantined") == 1

    def test_the_rest_of_a_parcel_takes_its_place(self, make: Make) -> None:
        box = make(WIDE)
        box.put("bus", T0, [line(T0, d) for d in "abc"], 3)
        box.commit()
        (one,) = box.take(10**9)
        box.settle((), (), rest=(one, one.lines()[1:]))
        (left,) = box.take(10**9)
        assert left.lines() == one.lines()[1:]
        assert (left.sequence, left.readings) == (one.sequence, 2)
        assert box.waiting() == (1, len(left.body))

    def test_too_old_goes_whole_but_one_wrong_clock_makes_nothing_old(self, make: Make) -> None:
        box = make(Bounds(10**9, 100_000))
        put(box, *range(0, 400, 10))
        assert slots(box.take(10**9))[0] == 290
        assert box.tally("dropped") == box.tally("dropped_readings") == 29
        put(box, 10**8)  # a jump of years
        put(box, 400)
        assert slots(box.take(10**9))[0] == 300
        put(box, *(10**8 + n for n in range(0, 3700, 60)))  # now it is no slip any more
        assert min(slots(box.take(10**9))) > 400

    @pytest.mark.parametrize("max_bytes", [200_000, 120_000, 60_000, 30_000])
    def test_health_goes_first_then_gauges_then_all_but_one_an_hour(
        self, make: Make, max_bytes: int
    ) -> None:
        clock = TestClock()
        delivery = DeliveryLines("s", "a1", clock)
        box = make(Bounds(max_bytes, 10**15), delivery=delivery, clock=clock)
        minutes, each = 1200, 8
        for m in range(minutes):
            clock.ms = T0 + 60_000 * m
            box.put("bus", clock.ms, mixed(clock.ms), each)
            box.commit()
        lines = everything(box)
        left = {m: [x for x in lines if x.startswith(f"{m},")] for m in Medium}
        readings = [r for x in lines if not x.startswith("delivery") for r in decode(x)]
        counters = [r for r in readings if r.point.measurand == "energy_import_kwh"]
        gauges = [r for r in readings if r.point.measurand == "voltage_l2_v"]
        hours = {r.time_ms // HOUR_MS for r in counters}
        if len(gauges) < minutes:
            assert len(left[Medium.AGENT]) < 10
        if len(counters) < minutes:
            assert len(gauges) < minutes // 4
        oldest = counters[: len(counters) // 2]
        if len(hours) < minutes // 60:
            assert all(b.time_ms // HOUR_MS > a.time_ms // HOUR_MS for a, b in pairwise(oldest))
        assert len(left[Medium.AGENT]) < minutes
        assert counters[-1].time_ms == clock.ms
        dropped = box.tally("dropped_readings")
        assert len(readings) + dropped == minutes * each
        said = [parse_line(x).fields for x in left[Medium.DELIVERY]]
        told = sum(f["dropped_readings"] for f in said if "dropped_first" in f)
        assert 0 <= dropped - told < minutes * each // 10  # what was dropped lately is told next


def everything(box: Outbox) -> list[str]:
    lines = []
    while batch := box.take(10**9, PRIMARY):
        lines += [ln for p in batch for ln in p.lines()]
        box.settle(batch)
    return lines
