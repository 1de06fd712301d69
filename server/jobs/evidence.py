"""Evidence: what rules see of meters over a span, gathered once for all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from contract.reading import PointId
from server.factbook.workdays import day_type, minute_of_day, work_mask
from server.periods import DAY_MS, Interval, Step, day_interval, days_in, edges, month_interval
from server.rollup.combine import mean_power_kw
from server.rollup.model import Rollup
from server.rules.kinds import KINDS
from server.rules.model import Evidence, Kind, Rule
from server.rules.presence import by_plugs, door_moves, occupancy
from server.series import Series, Times, Values
from server.site.model import Meter, Site

GRACE_MIN = 30
LEAST_COVERAGE = 0.5  # of an interval; with less, its value is spread over a gap: not judged
PLUGS = "01A10"
# a further series → (the tag that names its device, else the meter's own; its measurand)
_GAUGES = {
    "room_c": ("room-", "temperature_c"),
    "clock_offset_s": ("agent-", "clock_offset_s"),
    "gauge_kw": ("", "power_kw"),
    "reactive_kvar": ("", "reactive_power_kvar"),
    **{f"current_l{i}_a": ("", f"current_l{i}_a") for i in (1, 2, 3)},
}


class Reads(Protocol):
    """The part of a store that evidence needs."""

    def read_rollups(
        self, site: Site, meters: Sequence[str], step: Step, interval: Interval
    ) -> dict[str, Rollup]:
        """Give the rollups of meters on the step grid that covers the interval."""

    def read_many(self, points: Sequence[PointId], interval: Interval) -> dict[PointId, Series]:
        """Give several points' values at once; a point without values has an empty series."""


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Evidence of a span for any rule and meters of a site: (n,) shared, the rest by meter."""

    store: Reads
    site: Site
    span: Interval
    grid: Times
    shared: Evidence  # power empty: what all meters have in common
    rollups: dict[str, Rollup]
    presence: dict[str, tuple[Values, Values]]  # by building: persons, door moves
    by_plug: frozenset[str]  # buildings whose presence is inferred from plug loads
    kept: dict[tuple[str, str], Values] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Reads, site: Site, span: Interval, since_ms: int = 0) -> "Gathered":
        """Read what all meters have in common; span: from a midnight on.

        since_ms: from when presence is read, a midnight at or before the span's start; it knows
        gates and plugs by the 28 days before.
        """
        plugs = [m for m in site.meters if m.end_use == PLUGS]
        whole = Interval(min(since_ms or span.start_ms, span.start_ms), span.end_ms)
        longer = cls(store, site, whole, *_shared(store, site, whole), {}, {}, frozenset())
        longer = longer.reading(plugs)
        gates = longer._gates()
        plug = longer._plugs(set(gates))
        i = int(np.searchsorted(longer.grid, span.start_ms))
        present = {b: (p[i:], moves[i:]) for b, (p, moves) in {**gates, **plug}.items()}
        shared = _shared(store, site, span) if i else (longer.grid, longer.shared)
        return cls(store, site, span, *shared, {}, present, frozenset(plug))

    def reading(self, meters: Sequence[Meter]) -> "Gathered":
        """Give the same with the rollups of some meters, and of those right below them."""
        wanted = {m.id for m in meters}
        wanted |= {m.id for m in self.site.meters if m.parent in wanted}
        found = self.store.read_rollups(self.site, sorted(wanted), Step.QUARTER, self.span)
        return replace(self, rollups=found, kept={})

    def evidence(self, rule: Rule, meters: Sequence[Meter]) -> Evidence:
        """Give what a rule sees of some meters, (m, n)."""
        is_asked = rule.kind is Kind.IMPLAUSIBLE
        power = np.stack([self._power(m, wrong_too=is_asked) for m in meters])
        if (
            rule.kind is Kind.INFERRED_AC
        ):  # what is metered below a main is not its air conditioning
            power = power - np.stack([self._known_below(m) for m in meters])
        nobody = np.full(len(self.grid) - 1, np.nan)
        there = [self._presence_of(rule, m) for m in meters]
        needs = KINDS[rule.kind].needs - {"outdoor_c"}
        more = {name: np.stack([self._side(name, m) for m in meters]) for name in sorted(needs)}
        has_gate = np.array([[p is not None] for p in there], bool)
        if has_gate.any():
            more["door_moves"] = np.stack([nobody if p is None else p[1] for p in there])
            persons = np.stack([nobody if p is None else p[0] for p in there])
        return replace(
            self.shared, power=power, occupancy=persons if has_gate.any() else None,
            has_gate=has_gate if has_gate.any() else None, more={**self.shared.more, **more},
        )  # fmt: skip

    def _presence_of(self, rule: Rule, m: Meter) -> tuple[Values, Values] | None:
        """Give a meter's presence; plugs say nothing about themselves."""
        is_about_gates = m.end_use == PLUGS or rule.kind is Kind.GATE_SILENT
        if m.building in self.by_plug and is_about_gates:
            return None
        return self.presence.get(m.building)

    def _power(self, m: Meter, wrong_too: bool = False) -> Values:
        """Give mean kW or m³/h; what no place can draw is unknown to all but one rule."""
        key = (f"power {wrong_too}", m.id)
        if key not in self.kept:
            self.kept[key] = self._read_power(m, wrong_too)
        return self.kept[key]

    def _read_power(self, m: Meter, wrong_too: bool) -> Values:
        r = self.rollups[m.id]
        power = np.where(r.coverage < LEAST_COVERAGE, np.nan, mean_power_kw(r))
        if wrong_too:
            return power
        return np.where(power > (m.max_power or m.carrier.default_max_power), np.nan, power)

    def _below(self, m: Meter) -> list[Meter]:
        return [c for c in self.site.meters if c.parent == m.id and c.is_counted]

    def _known_below(self, m: Meter) -> Values:
        """Give what the meters below show, (n,): 0 without any, NaN where one does not say."""
        nothing = np.zeros(len(self.grid) - 1)
        return np.asarray(np.sum([nothing, *map(self._power, self._below(m))], axis=0))

    def _gates(self) -> dict[str, tuple[Values, Values]]:
        out: dict[str, tuple[Values, Values]] = {}
        for gate in self.site.gates:
            ids = [PointId(self.site.id, gate.device, f"door_{d}_total") for d in ("in", "out")]
            found = self.store.read_many(ids, _wide(self.span))
            ins, outs = found[ids[0]], found[ids[1]]
            persons = occupancy(ins, outs, self.grid, self.site)
            moves = door_moves(ins, outs, self.grid)
            old = out.get(gate.building)
            out[gate.building] = (
                (persons, moves) if old is None else (old[0] + persons, old[1] + moves)
            )
        return out

    def _plugs(self, gated: set[str]) -> dict[str, tuple[Values, Values]]:
        by_building: dict[str, list[Values]] = {}
        for m in self.site.meters:
            if m.end_use == PLUGS and m.building not in gated and m.id in self.rollups:
                by_building.setdefault(m.building, []).append(self._power(m))
        unknown = np.full(len(self.grid) - 1, np.nan)
        return {
            building: (by_plugs(replace(self.shared, power=np.sum(loads, axis=0))), unknown)
            for building, loads in by_building.items()
        }

    def _side(self, name: str, m: Meter) -> Values:
        """Give a further series of a meter, (n,); read once."""
        if (name, m.id) not in self.kept:
            self.kept[name, m.id] = self._read_side(name, m)
        return self.kept[name, m.id]

    def _read_side(self, name: str, m: Meter) -> Values:
        n = len(self.grid) - 1
        if name in _GAUGES:
            device, measurand = _GAUGES[name]
            return self._gauge(_tag(m, device) if device else m.point_device, measurand)
        if name in {"month_used", "month_share"}:
            return self._month(m, name)
        if name == "capacity_kva":
            text = _tag(m, "kva-")
            return np.full(n, float(text)) if text.isdecimal() else _none(n)
        if name == "below":
            return self._known_below(m) if self._below(m) else _none(n)
        whole: dict[str, Callable[[], Values]] = {
            "coverage": lambda: self.rollups[m.id].coverage,
            "max_power": lambda: np.full(n, m.max_power or m.carrier.default_max_power),
            "sealed": lambda: self._sealed(m),
        }
        return whole[name]()

    def _gauge(self, device: str, measurand: str) -> Values:
        if not device:
            return _none(len(self.grid) - 1)
        point = PointId(self.site.id, device, measurand)
        return binned(self.store.read_many([point], _wide(self.span))[point], self.grid)

    def _sealed(self, m: Meter) -> Values:
        out = np.zeros(len(self.grid) - 1)
        area = next((a for a in self.site.areas if a.id == m.area), None)
        spans = area.sealed if area else ()
        for day in days_in(self.span, self.site.zone) if spans else ():
            if any(a <= day and (b is None or day < b) for a, b in spans):
                whole = day_interval(day, self.site.zone)
                i, j = np.searchsorted(self.grid[:-1], [whole.start_ms, whole.end_ms])
                out[i:j] = 1.0
        return out

    def _month(self, m: Meter, name: str) -> Values:
        out = _none(len(self.grid) - 1)
        used = self.rollups[m.id].values
        for year, month in sorted({(d.year, d.month) for d in days_in(self.span, self.site.zone)}):
            whole = month_interval(year, month, self.site.zone)
            if whole.start_ms < self.grid[0]:
                continue  # its beginning was not read
            i, j = np.searchsorted(self.grid[:-1], [whole.start_ms, whole.end_ms])
            share = (self.grid[1:][i:j] - whole.start_ms) / (whole.end_ms - whole.start_ms)
            out[i:j] = share if name == "month_share" else np.cumsum(np.nan_to_num(used[i:j]))
        return out


def _shared(store: Reads, site: Site, span: Interval) -> tuple[Times, Evidence]:
    """Give (edges, what all meters have in common), their power empty."""
    grid = edges(span, Step.QUARTER, site.zone)
    n = max(0, len(grid) - 1)
    is_workday = np.zeros(n, bool)
    for day in days_in(span, site.zone):
        whole = day_interval(day, site.zone)
        i, j = np.searchsorted(grid[:-1], [whole.start_ms, whole.end_ms])
        is_workday[i:j] = day_type(day, site).is_workday
    more: dict[str, Values] = {}
    if site.thermometer:
        outdoor = PointId(site.id, site.thermometer, "temperature_c")
        more["outdoor_c"] = binned(store.read_many([outdoor], _wide(span))[outdoor], grid)
    work, minute = work_mask(grid, site, GRACE_MIN), minute_of_day(grid[:-1], site)
    return grid, Evidence(grid, np.empty((0, n)), None, work, minute, is_workday, more=more)


def binned(series: Series, edges_ms: Times) -> Values:
    """Give the mean of a gauge in each interval, (n,); NaN where it said nothing."""
    n = max(0, len(edges_ms) - 1)
    at = np.searchsorted(edges_ms, series.times_ms, "right") - 1
    inside = (at >= 0) & (at < n)
    total = np.bincount(at[inside], series.values[inside], n)
    count = np.bincount(at[inside], minlength=n)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _tag(m: Meter, start: str) -> str:
    return next((t.removeprefix(start) for t in sorted(m.tags) if t.startswith(start)), "")


def _none(n: int) -> Values:
    return np.full(n, np.nan)


def _wide(span: Interval) -> Interval:
    return Interval(span.start_ms - DAY_MS, span.end_ms + DAY_MS)
