"""What any Store must do; run against the embedded one, and against a real InfluxQL engine."""

from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from contract.line import encode
from contract.reading import PointId, Reading, Reason
from server.periods import DAY_MS, HOUR_MS, QUARTER_MS, Interval, Step, edges
from server.rollup.model import Grade, Rollup
from server.site.model import Building, Carrier, Dated, Meter, Role, Site
from server.store.protocol import Store

ZONE = ZoneInfo("Asia/Shanghai")
T0 = 1_767_196_800_000  # a midnight of the site
POINT = PointId("s", "E01", "energy_import_kwh")
ALL = Interval(0, 2 * T0)
SITE = Site(
    "s",
    "大院",
    "中心",
    ZONE,
    (Building("b1", "一号 楼", (Dated(date(2020, 1, 1), 100.0),)),),
    (Meter("E01", "总表", "E01", POINT.measurand, Carrier.ELECTRICITY, Role.MAIN, "b1", "01000"),),
)


def put(store: Store, *readings: Reading) -> None:
    result = store.write_lines("\n".join(encode(readings)).encode())
    assert not result.errors


def reading(value: float, at: int, point: PointId = POINT) -> Reading:
    return Reading(point, T0 + at, value)


class StoreSuite:
    """Subclass it and give `store` as a fixture."""

    def test_what_is_written_is_read(self, store: Store) -> None:
        put(store, reading(1.5, 0), reading(2.25, 1000))
        series = store.read_series(POINT, ALL)
        assert series.times_ms.tolist() == [T0, T0 + 1000]
        assert series.values.tolist() == [1.5, 2.25]

    def test_doubts_are_found_by_their_reason(self, store: Store) -> None:
        guess, other = Reason.CLOCK_UNSYNCED, PointId("s", "E02", POINT.measurand)
        put(store, reading(1, 0), Reading(POINT, T0 + 1000, 2.0, guess))
        put(store, Reading(POINT, T0 + 2000, 3.0, guess), Reading(POINT, T0 + 3000, 4.0, guess))
        put(store, Reading(POINT, T0 + 4000, None, Reason.TIMEOUT), reading(1, 0, other))
        span = Interval(T0, T0 + 3000)
        found = store.read_doubts([POINT, other], span, guess)
        assert {p: t.tolist() for p, t in found.items()} == {POINT: [T0 + 1000, T0 + 2000]}
        assert store.read_series(POINT, ALL).values.tolist() == [1, 2, 3, 4]
        assert not store.read_doubts([other], span, guess)

    def test_intervals_are_half_open(self, store: Store) -> None:
        put(store, reading(1, 0), reading(2, 1000), reading(3, 2000))
        found = store.read_series(POINT, Interval(T0 + 1000, T0 + 2000))
        assert found.values.tolist() == [2]

    def test_the_last_write_of_a_point_and_time_wins(self, store: Store) -> None:
        put(store, reading(1, 0), reading(2, 1000))
        put(store, reading(7, 0))
        put(store, reading(7, 0))
        assert store.read_series(POINT, ALL).values.tolist() == [7, 2]

    def test_readings_may_come_in_any_order(self, store: Store) -> None:
        for at in (3000, 1000, 2000):
            put(store, reading(at, at))
        assert store.read_series(POINT, ALL).values.tolist() == [1000, 2000, 3000]

    def test_a_missing_reading_is_not_a_value(self, store: Store) -> None:
        put(store, reading(5, 0), Reading(POINT, T0 + 1000, None, Reason.TIMEOUT))
        assert store.read_series(POINT, ALL).values.tolist() == [5]
        (last,) = store.read_last("s")
        assert (last.value, last.reason, last.time_ms) == (None, Reason.TIMEOUT, T0 + 1000)

    def test_the_last_reading_of_every_point_is_known(self, store: Store) -> None:
        other = PointId("s", "E02", "power_kw")
        elsewhere = PointId("other", "E02", "power_kw")
        put(store, reading(1, 0), reading(2, 1000), reading(9, 0, other), reading(8, 0, elsewhere))
        found = {r.point: r.value for r in store.read_last("s")}
        assert found == {POINT: 2, other: 9}

    def test_points_of_one_device_are_each_known_by_their_own_last_reading(
        self, store: Store
    ) -> None:
        power = PointId("s", "E01", "power_kw")
        put(store, reading(1, 0), reading(5, 0, power), reading(2, 1000))
        put(store, Reading(power, T0 + 2000, None, Reason.TIMEOUT), reading(6, 3000, power))
        found = {r.point: (r.value, r.time_ms) for r in store.read_last("s")}
        assert found == {POINT: (2, T0 + 1000), power: (6, T0 + 3000)}

    def test_good_lines_of_a_bad_batch_are_kept_and_the_bad_ones_named(self, store: Store) -> None:
        good = encode([reading(1, 0)])[0]
        body = f"{good}\nnonsense\nelectricity,device=E01,site=s volts=3 {T0}\n"
        result = store.write_lines(body.encode())
        assert result.accepted == 1
        assert [e.split(":")[0] for e in result.errors] == ["line 2", "line 3"]
        assert store.read_series(POINT, ALL).values.tolist() == [1]

    @pytest.mark.parametrize("time", ["-1", str(2**63), "9" * 30])
    def test_a_time_no_clock_shows_is_refused_and_harms_nothing(
        self, store: Store, time: str
    ) -> None:
        put(store, reading(1, 0))
        line = f"electricity,device=E01,site=s energy_import_kwh=2.0 {time}"
        result = store.write_lines(line.encode())
        assert result.accepted == 0
        assert "a time stamp from 1970 to 2199" in result.errors[0]
        put(store, reading(3, 1000))
        assert store.read_series(POINT, ALL).values.tolist() == [1, 3]

    def test_a_deleted_reading_is_not_the_last_one(self, store: Store) -> None:
        put(store, reading(1, 0), reading(9, 1000), Reading(POINT, T0 + 2000, None, Reason.TIMEOUT))
        assert store.delete([POINT], Interval(T0 + 1000, T0 + 3000)) == 1
        assert [(r.value, r.time_ms) for r in store.read_last("s")] == [(1, T0)]
        store.delete([POINT], Interval(T0, T0 + 1))
        assert store.read_last("s") == []

    def test_odd_names_come_back_as_they_were(self, store: Store) -> None:
        point = PointId("a b", "E=1,'2'", "power_kw")
        put(store, reading(3, 0, point))
        assert store.read_series(point, ALL).values.tolist() == [3]

    def test_an_unknown_point_is_empty(self, store: Store) -> None:
        assert len(store.read_series(PointId("s", "nobody", "power_kw"), ALL)) == 0

    def test_many_points_are_read_at_once(self, store: Store) -> None:
        points = [PointId("s", f"E{i}", "power_kw") for i in range(20)]
        put(store, *[reading(i, 0, p) for i, p in enumerate(points)])
        found = store.read_many(points, ALL)
        assert [found[p].values.tolist() for p in points] == [[i] for i in range(20)]

    def test_receipts_come_back_oldest_first(self, store: Store) -> None:
        fields = "sequence_first={0},sequence_last={0},oldest_ms=5,newest_ms=6,readings_sent=7"
        lines = [
            f"delivery,device=a1,site=s {fields.format(float(i))},lag_s=0.0 {T0 + i}"
            for i in (3, 1, 2)
        ]
        assert not store.write_lines("\n".join(lines).encode()).errors
        found = store.read_receipts("s", T0 + 2)
        assert [(r.agent, r.sequence_first, r.sent_ms) for r in found] == [
            ("a1", 2, T0 + 2),
            ("a1", 3, T0 + 3),
        ]

    def test_a_receipt_may_name_its_ledger_and_the_next_number(self, store: Store) -> None:
        fields = (
            "sequence_first=1.0,sequence_last=2.0,oldest_ms=5.0,newest_ms=6.0,readings_sent=7.0"
        )
        later = f"{fields},outbox_id=281474976710655.0,sequence_next=4.0"
        lines = [
            f"delivery,device=a1,site=s {f},lag_s=0.0 {T0 + i}"
            for i, f in enumerate((fields, later))
        ]
        assert not store.write_lines("\n".join(lines).encode()).errors
        found = store.read_receipts("s", T0)
        assert [(r.outbox_id, r.sequence_next) for r in found] == [(0, None), (2**48 - 1, 4)]

    def test_words_on_deliveries_come_back_by_agent_and_field(self, store: Store) -> None:
        head = "delivery,device={},site={} lag_s=0.0,{} {}"
        dropped = "dropped_first=3.0,dropped_last=9.0,dropped_readings=50.0,outbox_id=8.0"
        queued = "queued_first=10.0,queued_last=12.0,queued_parcels=3.0,outbox_id=8.0"
        aside = "quarantined_sequence=4.0,quarantined_lines=1.0,outbox_id=9.0"
        lines = [
            head.format("a1", "s", dropped, T0),
            head.format("a1", "s", queued, T0 + 1),
            head.format("a2", "s", aside, T0 + 2),
            head.format("a2", "other", queued, T0),
        ]
        assert not store.write_lines("\n".join(lines).encode()).errors
        said = store.read_delivery("s", Interval(T0, T0 + 2))
        known = {k: s for k, s in said["a1"].items() if len(s)}
        assert known["dropped_readings"].values.tolist() == [50]
        assert known["outbox_id"].times_ms.tolist() == [T0, T0 + 1]
        assert not any(len(s) for s in said.get("a2", {}).values())
        said = store.read_delivery("s", ALL)
        assert said["a2"]["quarantined_sequence"].values.tolist() == [4]
        assert "queued_first" not in said["a2"] or not len(said["a2"]["queued_first"])

    def test_readings_are_counted_once_bad_ones_too(self, store: Store) -> None:
        other = PointId("other", "E01", POINT.measurand)
        put(store, reading(1, 0), reading(2, 1000), reading(3, 2000), reading(8, 1000, other))
        put(store, Reading(POINT, T0 + 3000, None, Reason.TIMEOUT))
        put(store, Reading(POINT, T0 + 4000, 5.0, Reason.COUNTER_BACKWARD), reading(7, 0))
        receipt = (
            "sequence_first=1.0,sequence_last=1.0,oldest_ms=5.0,newest_ms=6.0,readings_sent=7.0"
        )
        store.write_lines(f"delivery,device=a1,site=s {receipt},lag_s=0.0 {T0}".encode())
        assert store.count_readings("s", Interval(T0, T0 + 5000)) == 5
        assert store.count_readings("s", Interval(T0 + 1000, T0 + 4000)) == 3
        assert store.count_readings("nowhere", ALL) == 0
        store.maintain(store.written_since("s", 0, T0 + 3 * DAY_MS).mark, T0 + 3 * DAY_MS, None)
        put(store, reading(7, 0), reading(9, 500))
        assert store.count_readings("s", Interval(T0, T0 + 5000)) == 6
        assert store.delete([POINT], Interval(T0 + 1000, T0 + 2000)) == 1
        assert store.count_readings("s", Interval(T0, T0 + 5000)) == 5

    def test_rollups_come_back_on_the_grid_with_gaps_missing(self, store: Store) -> None:
        span = Interval(T0, T0 + HOUR_MS)
        grid = edges(span, Step.QUARTER, ZONE)
        values = np.array([1.0, np.nan, 3.0, 4.0])
        grades = np.array([0, Grade.MISSING, 3, 0], np.int8)
        coverage = np.array([1.0, 0.0, 0.5, 1.0])
        store.write_rollups(SITE, [Rollup("E01", Step.QUARTER, grid, values, coverage, grades)])
        wide = Interval(T0 - QUARTER_MS, T0 + HOUR_MS)
        found = store.read_rollups(SITE, ["E01"], Step.QUARTER, wide)["E01"]
        assert found.values == pytest.approx([np.nan, 1, np.nan, 3, 4], nan_ok=True)
        assert found.grades.tolist() == [Grade.MISSING, 0, Grade.MISSING, 3, 0]
        assert found.coverage.tolist() == [0, 1, 0, 0.5, 1]

    def test_a_rollup_written_again_replaces_the_first(self, store: Store) -> None:
        grid = np.array([T0, T0 + DAY_MS], np.int64)
        for value in (5.0, 6.0):
            r = Rollup("E01", Step.DAY, grid, np.array([value]), np.ones(1), np.zeros(1, np.int8))
            store.write_rollups(SITE, [r])
        found = store.read_rollups(SITE, ["E01"], Step.DAY, Interval(T0, T0 + DAY_MS))["E01"]
        assert found.values.tolist() == [6.0]

    def test_an_interval_that_became_missing_is_gone(self, store: Store) -> None:
        span = Interval(T0, T0 + HOUR_MS)
        grid = edges(span, Step.QUARTER, ZONE)
        for gone in ([], [1, 2]):
            values = np.array([1.0, 2.0, 3.0, 4.0])
            values[gone] = np.nan
            zeros = np.zeros(4, np.int8)
            store.write_rollups(
                SITE, [Rollup("E01", Step.QUARTER, grid, values, np.ones(4), zeros)]
            )
        found = store.read_rollups(SITE, ["E01"], Step.QUARTER, span)["E01"]
        assert found.values == pytest.approx([1, np.nan, np.nan, 4], nan_ok=True)

    def test_meters_and_places_are_kept_apart(self, store: Store) -> None:
        grid = np.array([T0, T0 + DAY_MS], np.int64)
        for key, value in (("E01", 5.0), ("b1:electricity", 6.0), ("s:electricity", 7.0)):
            r = Rollup(key, Step.DAY, grid, np.array([value]), np.ones(1), np.zeros(1, np.int8))
            store.write_rollups(SITE, [r])
        keys = ["E01", "b1:electricity", "s:electricity"]
        found = store.read_rollups(SITE, keys, Step.DAY, Interval(T0, T0 + DAY_MS))
        assert [found[k].values.tolist() for k in keys] == [[5.0], [6.0], [7.0]]

    def test_what_was_written_since_a_mark_is_told(self, store: Store) -> None:
        fields = "sequence_first=1,sequence_last=1,oldest_ms={0},newest_ms={1},readings_sent=2"
        sent = T0 + DAY_MS
        receipt = f"delivery,device=a1,site=s {fields.format(float(T0), T0 + 1000.0)} {sent}"
        put(store, reading(1, 0), reading(2, 1000))
        assert not store.write_lines(receipt.encode()).errors
        first = store.written_since("s", 0, sent + 1000)
        spans = [*first.spans.get(POINT, ()), *first.everywhere]
        assert any(s.start_ms <= T0 and s.end_ms > T0 + 1000 for s in spans)
        later = sent + 3_600_000
        put(store, reading(9, 2000))
        receipt = f"delivery,device=a1,site=s {fields.format(T0 + 2000.0, T0 + 2000.0)} {later}"
        assert not store.write_lines(receipt.encode()).errors
        second = store.written_since("s", first.mark, later + 1000)
        assert second.mark > first.mark
        spans = [*second.spans.get(POINT, ()), *second.everywhere]
        assert any(s.start_ms <= T0 + 2000 < s.end_ms for s in spans)  # older ones may be again

    def test_deleted_readings_are_gone_and_their_neighbours_stay(self, store: Store) -> None:
        other = PointId("s", "E01", "power_kw")
        put(store, reading(1, 0), reading(2, 1000), reading(3, 2000), reading(8, 1000, other))
        assert store.delete([POINT], Interval(T0 + 1000, T0 + 2000)) == 1
        assert store.read_series(POINT, ALL).values.tolist() == [1, 3]
        assert store.read_series(other, ALL).values.tolist() == [8]

    def test_the_first_reading_kept_is_known(self, store: Store) -> None:
        assert store.first_ms("s") is None
        put(store, reading(2, 5000), reading(1, 1000))
        assert store.first_ms("s") == T0 + 1000

    def test_housekeeping_changes_no_answer(self, store: Store) -> None:
        put(store, *[reading(i / 100, i * 60_000) for i in range(200)], reading(0.1 + 0.2, 30_001))
        put(store, reading(7, 0))
        before = store.read_series(POINT, ALL)
        mark = store.written_since("s", 0, T0 + 3 * DAY_MS).mark
        for _ in range(2):
            store.maintain(mark, T0 + 3 * DAY_MS, None)
            after = store.read_series(POINT, ALL)
            assert np.array_equal(after.times_ms, before.times_ms)
            assert np.array_equal(after.values, before.values)
        put(store, reading(9, 60_000), reading(0.7, 30_001))
        assert store.read_series(POINT, ALL).values[:3].tolist() == [7, 0.7, 9]
