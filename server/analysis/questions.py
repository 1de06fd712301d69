"""The questions.  Quarter-hour rollups of a span are read once and kept for a minute."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from contract.clock import Clock
from contract.measurand import MEASURANDS, Measurand
from contract.reading import Reading
from server.jobs.works import Works
from server.metrics.answer import Answer
from server.metrics.catalogue import METRICS, compute
from server.metrics.inputs import MetricInputs
from server.periods import (
    QUARTER_MS,
    Interval,
    Step,
    day_interval,
    day_of,
    month_interval,
    year_interval,
)
from server.rollup.model import Rollup
from server.site.model import Meter, Site
from server.store.protocol import Receipt

KEEP_S = 60.0


@dataclass(frozen=True, slots=True)
class Period:
    """The site's today, this month and this year up to now."""

    today: Interval
    yesterday: Interval
    month: Interval
    year: Interval


@dataclass(frozen=True, slots=True)
class MeterRow:
    """A meter and the newest word of its counter; `reading` None: never heard of."""

    meter: Meter
    reading: Reading | None
    age_s: float | None


@dataclass(slots=True)
class Analysis:
    """Answers questions.  Thread-safe."""

    works: Works
    clock: Clock
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _kept: dict[tuple[int, int], tuple[float, Mapping[str, Rollup]]] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        """Give the site."""
        return self.works.site

    def period(self) -> Period:
        """Give today, yesterday, this month and this year, each up to the last full quarter."""
        zone, now_ms = self.works.site.zone, self.clock.now_ms() // QUARTER_MS * QUARTER_MS
        today = day_of(now_ms, zone)
        month = month_interval(today.year, today.month, zone)
        start = day_interval(today, zone).start_ms
        return Period(
            today=Interval(start, max(now_ms, start)),
            yesterday=day_interval(today - timedelta(days=1), zone),
            month=Interval(month.start_ms, max(now_ms, month.start_ms)),
            year=Interval(year_interval(today.year, zone).start_ms, now_ms),
        )

    def rollups(self, interval: Interval) -> Mapping[str, Rollup]:
        """Give every meter's 15-minute rollups of a span."""
        key = (interval.start_ms, interval.end_ms)
        now_s = self.clock.monotonic_s()
        with self._lock:
            for (start, end), (kept_s, kept) in list(self._kept.items()):
                if now_s - kept_s > KEEP_S:
                    del self._kept[start, end]
                elif start <= key[0] and key[1] <= end:
                    return {m: slice_rollup(r, interval) for m, r in kept.items()}
        meters = [m.id for m in self.works.site.meters]
        found = self.works.store.read_rollups(self.works.site, meters, Step.QUARTER, interval)
        with self._lock:
            self._kept[key] = (now_s, found)
        return found

    def inputs(
        self, interval: Interval, building: str | None = None, end_use: str | None = None
    ) -> MetricInputs:
        """Give what a metric of a place and span is computed from."""
        works = self.works
        found = self.rollups(interval)
        return MetricInputs(works.site, interval, found, works.factbook, building, end_use)

    def answer(
        self,
        metric: str,
        interval: Interval,
        building: str | None = None,
        end_use: str | None = None,
    ) -> Answer:
        """Give one metric of a place and span."""
        return compute(metric, self.inputs(interval, building, end_use))

    def answers(self, interval: Interval, building: str | None = None) -> dict[str, Answer]:
        """Give every metric of a place and span."""
        inputs = self.inputs(interval, building)
        return {name: compute(name, inputs) for name in METRICS}

    def meters(self) -> list[MeterRow]:
        """Give every meter with the newest word of its counter."""
        now_ms = self.clock.now_ms()
        last = {(r.point.device, r.point.measurand): r for r in self._last()}
        rows = []
        for meter in self.works.site.meters:
            reading = last.get((meter.point_device, meter.measurand))
            age_s = None if reading is None else max(0.0, (now_ms - reading.time_ms) / 1000)
            rows.append(MeterRow(meter, reading, age_s))
        return rows

    def last_readings(self) -> list[tuple[Reading, Measurand]]:
        """Give the newest reading of every point with its measurand."""
        return [
            (r, MEASURANDS[r.point.measurand])
            for r in sorted(self._last(), key=lambda r: r.point)
            if r.point.measurand in MEASURANDS
        ]

    def receipts(self, since_ms: int) -> list[Receipt]:
        """Give the delivery receipts since an instant."""
        return list(self.works.store.read_receipts(self.works.site.id, since_ms))

    def forget(self) -> None:
        """Drop what was kept, after rollups were recomputed."""
        with self._lock:
            self._kept.clear()

    def _last(self) -> list[Reading]:
        return list(self.works.store.read_last(self.works.site.id))


def slice_rollup(r: Rollup, interval: Interval) -> Rollup:
    """Give the intervals of a rollup that lie within a span."""
    i, j = np.searchsorted(r.edges_ms, [interval.start_ms, interval.end_ms])
    return Rollup(
        r.meter, r.step, r.edges_ms[i : j + 1], r.values[i:j], r.coverage[i:j], r.grades[i:j]
    )
