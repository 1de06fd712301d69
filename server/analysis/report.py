"""What the report asks: a year so far, the year before, buildings, end uses, alerts."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal

from server.analysis.delivery import proofs
from server.analysis.questions import Analysis
from server.factbook.workdays import day_type
from server.metrics.answer import Answer
from server.metrics.catalogue import METRICS, compute
from server.periods import HOUR_MS, Interval, day_of, midnight_ms, year_interval
from server.report.compose import compose
from server.report.facts import AlertStatistic, EndUse, ReportInputs
from server.report.model import Report
from server.state import AlertRow
from server.state.life import Work

END_USES = ("01A00", "01B00", "01C00", "01D00")


def covered(analysis: Analysis, year: int) -> Interval:
    """Give the whole days of a year up to today's midnight."""
    whole = year_interval(year, analysis.site.zone)
    today = day_of(analysis.clock.now_ms(), analysis.site.zone)
    end_ms = min(whole.end_ms, midnight_ms(today, analysis.site.zone))
    return Interval(whole.start_ms, max(end_ms, whole.start_ms))


def report_of(analysis: Analysis, year: int, entered: Mapping[str, str] | None = None) -> Report:
    """Compose a year's energy section from what is known now."""
    site, span = analysis.site, covered(analysis, year)
    zone = site.zone
    first_on, after = day_of(span.start_ms, zone), day_of(span.end_ms, zone)
    earlier = Interval(
        midnight_ms(first_on.replace(year=year - 1), zone),
        midnight_ms(_year_before(after), zone),
    )
    days = ((span.end_ms - span.start_ms) // HOUR_MS + 23) // 24
    states = {day_type(first_on + timedelta(days=i), site).state for i in range(int(days))}
    return compose(
        ReportInputs(
            site=site,
            factbook=analysis.works.factbook,
            year=year,
            first_on=first_on,
            last_on=after - timedelta(days=1) if after > first_on else first_on,
            is_whole_year=span.end_ms == year_interval(year, zone).end_ms,
            answers=_answers(analysis, span),
            previous=_answers(analysis, earlier),
            buildings={b.id: _answers(analysis, span, b.id) for b in site.compound_buildings},
            end_uses=tuple(_end_use(analysis, span, code) for code in END_USES),
            alerts=alert_statistics(analysis, span),
            calendar_states=frozenset(states),
            entered=entered or {},
            deliveries=tuple(p for p in proofs(analysis, span) if p.parcels or p.findings),
        )
    )


def _year_before(day: date) -> date:
    is_leap_day = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year - 1, day=28 if is_leap_day else day.day)


def _answers(analysis: Analysis, span: Interval, building: str | None = None) -> dict[str, Answer]:
    inputs = analysis.inputs(span, building)
    return {name: compute(name, inputs) for name in METRICS}


def _end_use(analysis: Analysis, span: Interval, code: str) -> EndUse:
    name = analysis.works.factbook.end_use_name(code)
    return EndUse(code, name, analysis.answer("energy_kwh", span, end_use=code))


def _is_counted(analysis: Analysis, a: AlertRow) -> bool:
    parent = None if a.parent_id is None else analysis.works.state.inbox.get(a.parent_id)
    return parent is not None and parent.rule != a.rule and parent.work is not Work.FALSE_ALARM


def alert_statistics(analysis: Analysis, span: Interval) -> tuple[AlertStatistic, ...]:
    """Give each rule's alerts that began in a span; those found to be false are left out.

    So is what another rule's alert of the same cause has counted already.
    """
    site, now_ms = analysis.site, analysis.clock.now_ms()
    found = [
        a for a in analysis.works.state.alerts(span.start_ms, span.end_ms)
        if a.work is not Work.FALSE_ALARM and not _is_counted(analysis, a)
    ]  # fmt: skip
    out = []
    for rule in analysis.works.rules:
        mine = [a for a in found if a.rule == rule.id and span.start_ms <= a.start_ms < span.end_ms]
        known = [a.yuan for a in mine if a.yuan is not None]
        places = dict.fromkeys(site.building(a.building).name for a in reversed(mine))
        out.append(
            AlertStatistic(
                title=rule.title,
                count=len(mine),
                resolved=sum(a.end_ms is not None for a in mine),
                hours=sum(((a.end_ms or now_ms) - a.start_ms) / HOUR_MS for a in mine),
                excess=sum(a.excess for a in mine),
                unit=rule.selector.carrier.unit,
                yuan=sum(known, Decimal(0)) if known else None,
                places=tuple(places),
            )
        )
    return tuple(out)
