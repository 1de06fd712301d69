"""What each page shows, as plain values for its template."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from server.analysis import Analysis, slice_rollup
from server.analysis.report import END_USES
from server.jobs.works import whole_days
from server.metrics.answer import Answer
from server.metrics.catalogue import METRICS
from server.metrics.inputs import MetricInputs
from server.periods import DAY_MS, HOUR_MS, Interval, Step, days_in
from server.rollup.combine import combine, mean_power_kw
from server.rollup.model import Rollup
from server.series import Values
from server.site.model import Carrier, Role
from server.state import AlertRow
from server.web import labels

TREND_DAYS = 30
WAN = 10_000
MISSING = "—"


@dataclass(frozen=True, slots=True)
class Card:
    """One figure on a page; `note` says what it is made of, or why it is missing."""

    label: str
    value: str
    unit: str
    note: str


def card(answer: Answer, *, prefix: str = "", scale: int = 1, unit: str = "") -> Card:
    """Give an answer as a card."""
    metric = METRICS[answer.metric]
    note = "；".join(answer.caveats)
    if answer.value is None:
        return Card(prefix + metric.label_zh, MISSING, "", note)
    digits = 2 if scale > 1 else metric.digits
    shown = f"{float(answer.value) / scale:,.{digits}f}"
    return Card(prefix + metric.label_zh, shown, unit or answer.unit, note)


def local(time_ms: int, analysis: Analysis) -> datetime:
    """Give an instant in site time."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(analysis.site.zone)


def clean(values: Values, digits: int = 3) -> list[float | None]:
    """Give values for a chart: rounded, missing as null."""
    return [None if np.isnan(v) else round(float(v), digits) for v in values]


def overview(analysis: Analysis) -> dict[str, Any]:
    """Give the overview page."""
    p = analysis.period()
    year = analysis.answers(p.year)
    month = analysis.answers(p.month)
    today = analysis.answers(p.today)
    cards = [
        card(today["energy_kwh"], prefix="今日"),
        card(month["energy_kwh"], prefix="本月", scale=WAN, unit="万kWh"),
        card(year["energy_kwh"], prefix="今年", scale=WAN, unit="万kWh"),
        card(year["volume_m3"], prefix="今年"),
        card(year["electricity_cost_yuan"], prefix="今年", scale=WAN, unit="万元"),
        card(year["intensity_kgce_per_m2"], prefix="今年"),
        card(month["peak_demand_kw"], prefix="本月"),
        card(month["baseload_kw"], prefix="本月"),
    ]
    week = Interval(p.today.end_ms - 7 * DAY_MS, p.today.end_ms + DAY_MS)
    open_alerts = _told(analysis.works.state.alerts(is_open=True))
    recent = _told(analysis.works.state.alerts(week.start_ms, week.end_ms))
    return {
        "cards": cards,
        "curve": _curve(analysis, p.today, p.yesterday),
        "split": _split(analysis, p.month),
        "ranking": _ranking(analysis, p.month),
        "trend": _trend(analysis, None),
        "open_alerts": alert_rows(analysis, open_alerts),
        "recent_alerts": alert_rows(analysis, recent[:8]),
        "coverage": today["data_coverage_percent"].value,
    }


def building_page(analysis: Analysis, building: str) -> dict[str, Any]:
    """Give a building's page."""
    p = analysis.period()
    year, month = analysis.answers(p.year, building), analysis.answers(p.month, building)
    found = analysis.rollups(p.month)
    meters = [
        {
            "id": m.id,
            "name": m.name,
            "end_use": analysis.works.factbook.end_use_name(m.end_use),
            "role": m.role,
            "unit": m.carrier.unit,
            "month": _sum(found[m.id]),
        }
        for m in analysis.site.meters
        if m.building == building
    ]
    alerts = [a for a in _told(analysis.works.state.alerts()) if a.building == building]
    return {
        "building": analysis.site.building(building),
        "cards": [
            card(month["energy_kwh"], prefix="本月"),
            card(year["energy_kwh"], prefix="今年"),
            card(year["volume_m3"], prefix="今年"),
            card(year["energy_per_area_kwh_per_m2"], prefix="今年"),
            card(month["peak_demand_kw"], prefix="本月"),
            card(month["baseload_kw"], prefix="本月"),
        ],
        "curve": _curve(analysis, p.today, p.yesterday, building),
        "trend": _trend(analysis, building),
        "meters": meters,
        "alerts": alert_rows(analysis, alerts[:10]),
    }


def _sum(r: Rollup) -> str:
    return MISSING if np.isnan(r.values).all() else f"{float(np.nansum(r.values)):,.1f}"


def _told(rows: Iterable[AlertRow]) -> list[AlertRow]:
    """Leave out what stands behind another alert of its cause."""
    return [a for a in rows if a.parent_id is None]


def alert_rows(analysis: Analysis, rows: Iterable[AlertRow]) -> list[dict[str, Any]]:
    """Give alerts as rows of a table."""
    titles = {r.id: r for r in analysis.works.rules}
    kinds = {r.id: str(r.kind) for r in analysis.works.rules}
    names = {m.id: m.name for m in analysis.site.meters}
    now_ms = analysis.clock.now_ms()
    return [
        {
            "id": a.id,
            "title": titles[a.rule].title if a.rule in titles else a.rule,
            "severity": a.severity,
            "advice": titles[a.rule].advice if a.rule in titles else "",
            "place": place_of(analysis, a.building),
            "meter": names.get(a.meter, a.meter),
            "start": local(a.start_ms, analysis),
            "end": None if a.end_ms is None else local(a.end_ms, analysis),
            "hours": ((a.end_ms or now_ms) - a.start_ms) / HOUR_MS,
            "excess": a.excess,
            "unit": a.unit,
            "amount": labels.amount(kinds.get(a.rule, ""), a.excess, a.unit),
            "yuan": a.yuan,
        }
        for a in rows
    ]


def place_of(analysis: Analysis, building: str) -> str:
    """Give what a place is called: a building, else the whole site."""
    names = {b.id: b.name for b in analysis.site.buildings}
    return names.get(building, analysis.site.name)


def _curve(
    analysis: Analysis, today: Interval, yesterday: Interval, building: str | None = None
) -> dict[str, Any]:
    both = analysis.inputs(Interval(yesterday.start_ms, today.end_ms), building)
    r = both.rollup(Carrier.ELECTRICITY)
    if r is None:
        return {"times": [], "today": [], "yesterday": []}
    first, second = slice_rollup(r, yesterday), slice_rollup(r, today)
    times = [f"{i // 4:02d}:{i % 4 * 15:02d}" for i in range(len(first.values))]
    return {
        "times": times,
        "yesterday": clean(mean_power_kw(first), 1),
        "today": clean(mean_power_kw(second), 1),
    }


def _split(analysis: Analysis, month: Interval) -> dict[str, Any]:
    answers = [analysis.answer("energy_kwh", month, end_use=code) for code in END_USES]
    names = [analysis.works.factbook.end_use_name(code) for code in END_USES]
    return {"names": names, "values": [round(float(a.value or 0.0), 1) for a in answers]}


def _ranking(analysis: Analysis, month: Interval) -> list[dict[str, Any]]:
    rows = []
    for b in analysis.site.compound_buildings:
        inputs = analysis.inputs(month, b.id)
        answer = METRICS["energy_kwh"].compute(METRICS["energy_kwh"], inputs)
        area = inputs.area_m2()
        per_area = float(answer.value) / area if answer.value is not None and area else None
        rows.append({"id": b.id, "name": b.name, "kwh": answer.value, "per_area": per_area})
    top = max((float(r["kwh"] or 0) for r in rows), default=0.0) or 1.0
    for r in rows:
        r["share"] = float(r["kwh"] or 0) / top
    return sorted(rows, key=lambda r: -float(r["kwh"] or 0))


def _trend(analysis: Analysis, building: str | None) -> dict[str, Any]:
    """Daily kWh of the last days by end use (the site) or of its mains (a building)."""
    site = analysis.site
    end_ms = analysis.period().today.end_ms
    span = whole_days(Interval(end_ms - TREND_DAYS * DAY_MS, end_ms), site)
    kept = analysis.works.store.read_rollups(site, [m.id for m in site.meters], Step.DAY, span)
    codes: tuple[str | None, ...] = (None,) if building else END_USES
    name_of = analysis.works.factbook.end_use_name
    days = [f"{d:%m-%d}" for d in days_in(span, site.zone)]
    series = []
    for code in codes:
        name = name_of(code) if code else "合计"
        inputs = MetricInputs(site, span, kept, analysis.works.factbook, building, code)
        parts = [kept[m.id] for m in inputs.meters(Carrier.ELECTRICITY)]
        values = clean(combine(name, parts).values, 0) if parts else [None] * len(days)
        series.append({"name": name, "values": values})
    return {"days": days, "series": series}


def meter_groups(analysis: Analysis) -> list[dict[str, Any]]:
    """Give the meters page: meters by place, mains first."""
    rows = analysis.meters()
    places = [(analysis.site.id, analysis.site.name)]
    places += [(b.id, b.name) for b in analysis.site.compound_buildings]
    groups = []
    for place, name in places:
        mine = [r for r in rows if r.meter.building == place]
        mine.sort(key=lambda r: (r.meter.carrier, r.meter.role is not Role.MAIN, r.meter.id))
        if mine:
            groups.append({"name": name, "rows": mine})
    return groups


def today_of(analysis: Analysis) -> date:
    """Give the site's date."""
    return local(analysis.clock.now_ms(), analysis).date()
