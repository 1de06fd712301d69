"""What the demo checks: the pipeline's figures beside the simulator's truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from simulators.client import ServerClient
from simulators.compound import Compound
from simulators.layout import SimMeter
from simulators.verdict import (
    Check,
    MeterCheck,
    Span,
    alert_check,
    energy_check,
    match,
    slot_gaps,
)

LEARNING_MS = 8 * 86_400_000  # rules need a week of data before they can judge
RULES = {"unattended_ac": "无人空调", "lights_all_night": "长明灯", "running_water": "长流水"}
SITE_OFFSET_MS = 8 * 3_600_000
INDICATORS = (
    "energy_kwh", "volume_m3", "intensity_kgce_per_m2", "energy_per_area_kwh_per_m2",
    "carbon_kgco2", "peak_demand_kw", "baseload_kw", "electricity_cost_yuan",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Live:
    """The live part: which agents, their interval, since when."""

    agents: Sequence[str]
    interval_ms: int
    start_ms: int

    def rounds(self, client: ServerClient, compound: Compound) -> int:
        """Give how many slots the slowest meter has delivered."""
        return min(len(self.readings(client, m)["times_ms"]) for m in _sample(compound))

    def readings(self, client: ServerClient, meter: SimMeter) -> dict[str, Any]:
        """Give a meter's live counter readings."""
        return self.series(client, meter.id, meter.measurand)

    def lags(self, client: ServerClient, meter: SimMeter) -> dict[int, float]:
        """Give the seconds after each slot at which the meter was read."""
        found = self.series(client, meter.id, "lag_s")
        return dict(zip(found["times_ms"], found["values"], strict=True))

    def series(self, client: ServerClient, device: str, measurand: str) -> dict[str, Any]:
        """Give a point's live readings."""
        span = {"from": self.start_ms, "to": self.start_ms + 86_400_000}
        found: dict[str, Any] = client.get(
            "/api/v1/readings", device=device, measurand=measurand, **span
        )
        return found


def _sample(compound: Compound) -> list[SimMeter]:
    """Give one meter of each agent's slowest kinds of line."""
    meters = list(compound.meters.values())
    return [meters[0], meters[-1], *[m for m in meters if m.id in {"E45", "E40", "W01"}]]


def run_checks(
    client: ServerClient, compound: Compound, live: Live, start_ms: int, now_ms: int
) -> list[Check]:
    """Give every check of the demo."""
    electric = [m for m in compound.meters.values() if m.carrier == "electricity"]
    water = [m for m in compound.meters.values() if m.carrier == "water"]
    checks = [
        energy_check("历史电量", "kWh", history(client, compound, electric, start_ms, now_ms)),
        energy_check("历史水量", "m³", history(client, compound, water, start_ms, now_ms)),
        energy_check("实时电量", "kWh", live_energy(client, compound, electric, live)),
        energy_check("实时水量", "m³", live_energy(client, compound, water, live)),
        slot_check(client, compound, live),
    ]
    found = client.get("/api/v1/alerts")
    for rule, title in RULES.items():
        spans = [_span(a, now_ms) for a in found if a["rule"] == rule]
        truth = [
            (w.meter, w.start_ms, min(w.end_ms, now_ms))
            for w in compound.wastes
            if w.kind == rule and start_ms + LEARNING_MS <= w.start_ms < now_ms
        ]
        checks.append(alert_check(f"告警 {title}", match(spans, truth), len(truth)))
    return checks


def _span(alert: dict[str, Any], now_ms: int) -> Span:
    return alert["meter"], alert["start_ms"], alert["end_ms"] or now_ms


def history(
    client: ServerClient,
    compound: Compound,
    meters: Sequence[SimMeter],
    start_ms: int,
    now_ms: int,
) -> list[MeterCheck]:
    """Compare each meter's daily rollups with the truth of the same span."""
    out = []
    for m in meters:
        span = {"from": start_ms, "to": now_ms}
        rows = client.get("/api/v1/rollups", meter=m.id, step="15m", **span)
        known = [v for v in rows["values"] if v is not None]
        found = sum(known) if len(known) == len(rows["values"]) else None
        truth = compound.truth(m.id, start_ms, now_ms)
        out.append(MeterCheck(m.id, found, truth, compound.counter_step(m.id)))
    return out


def live_energy(
    client: ServerClient, compound: Compound, meters: Sequence[SimMeter], live: Live
) -> list[MeterCheck]:
    """Compare each meter's first and last live reading with the truth between those moments."""
    out = []
    for m in meters:
        readings, lags = live.readings(client, m), live.lags(client, m)
        times, values = readings["times_ms"], readings["values"]
        if len(times) < 2:
            out.append(MeterCheck(m.id, None, 0.0, compound.counter_step(m.id)))
            continue
        first, last = (times[i] + round(lags[times[i]] * 1000) for i in (0, -1))
        truth = compound.truth(m.id, first, last)
        out.append(MeterCheck(m.id, values[-1] - values[0], truth, compound.counter_step(m.id)))
    return out


def slot_check(client: ServerClient, compound: Compound, live: Live) -> Check:
    """No slot may be missing or doubled between a meter's first and last live slot."""
    missing = doubled = slots = 0
    for m in compound.meters.values():
        times = live.readings(client, m)["times_ms"]
        holes, twice = slot_gaps(times, live.interval_ms)
        missing, doubled, slots = missing + holes, doubled + twice, slots + len(times)
    found = f"{slots:,} 个时刻，缺 {missing}，重 {doubled}"
    return Check("实时时刻完整", found, "缺 0，重 0", slots > 0 and not missing and not doubled)


def indicator_rows(client: ServerClient, now_ms: int) -> list[tuple[str, str]]:
    """Give the year's indicators as (label, value with unit)."""
    year = datetime.fromtimestamp((now_ms + SITE_OFFSET_MS) / 1000, UTC).year
    first = datetime(year, 1, 1, tzinfo=UTC)
    start_ms = int(first.timestamp() * 1000) - SITE_OFFSET_MS
    labels = {m["id"]: m["label"] for m in client.get("/api/v1/metrics")}
    rows = []
    for metric in INDICATORS:
        a = client.get(f"/api/v1/metrics/{metric}", **{"from": start_ms, "to": now_ms})
        value = "—" if a["value"] is None else f"{a['value']:,.2f} {a['unit']}"
        rows.append((labels[metric], value))
    return rows
