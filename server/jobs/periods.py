"""Closing months and years: what stands is kept for ever; what moves later opens a correction."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from server.jobs.works import Works
from server.metrics.balance import BalanceRow, balances, loss_ratios, subs_of
from server.metrics.catalogue import METRICS, compute
from server.metrics.inputs import MetricInputs
from server.periods import Interval, Step, month_interval, year_interval
from server.rollup.combine import total
from server.rollup.model import Rollup
from server.series import Values
from server.state.books import ChangeNote, Correction, Period

SAME = 5e-7  # figures are whole ticks; a difference below one is none


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a period should not be closed: what it is about, in plain words."""

    subject: str
    text: str


def period_interval(label: str, works: Works) -> Interval | None:
    """Give the span of `2026` or `2026-03`; None when the label is neither."""
    zone = works.site.zone
    try:
        if len(label) == 4:
            return year_interval(int(label), zone)
        day = date.fromisoformat(f"{label}-01")
    except ValueError:
        return None
    return month_interval(day.year, day.month, zone)


def period_content(works: Works, span: Interval) -> dict[str, Any]:
    """Give every figure of a span as it is now known: metrics by place, meters, balance."""
    rollups = _rollups(works, span)
    places: list[str | None] = [None, *(b.id for b in works.site.compound_buildings)]
    figures = {}
    for place in places:
        inputs = MetricInputs(works.site, span, rollups, works.factbook, place)
        for name, metric in METRICS.items():
            a = compute(name, inputs)
            figures[f"{place or works.site.id}/{name}"] = {
                "value": None if a.value is None else str(a.value), "unit": metric.unit,
                "coverage": a.coverage, "grade": a.grade.name.lower(), "facts": list(a.facts),
                "sources": list(a.sources), "caveats": list(a.caveats),
            }  # fmt: skip
    meters = {}
    for meter, r in rollups.items():
        value, coverage, grade = total(r)
        meters[meter] = {
            "value": None if value is None else str(value), "coverage": coverage,
            "grade": grade.name.lower(), "unit": works.site.meter(meter).carrier.unit,
        }  # fmt: skip
    rows = [asdict(row) for row in balances(works.site, rollups)]
    return {"figures": figures, "meters": meters, "balance": rows}


def _rollups(works: Works, span: Interval) -> Mapping[str, Rollup]:
    meters = [m.id for m in works.site.meters]
    return works.store.read_rollups(works.site, meters, Step.QUARTER, span)


def balance_of(works: Works, span: Interval) -> tuple[BalanceRow, ...]:
    """Give the balance of every fully sub-metered main over a span."""
    return balances(works.site, _rollups(works, span))


def losses_of(works: Works, span: Interval, step: Step) -> dict[str, tuple[Rollup, Values]]:
    """Give each fully sub-metered main's rollup, and its loss ratio interval by interval."""
    site = works.site
    mains = [m.id for m in site.meters if m.is_fully_sub_metered and subs_of(site, m.id)]
    rollups = works.store.read_rollups(site, [m.id for m in site.meters], step, span)
    return {
        m: (rollups[m], loss_ratios(rollups[m], {s: rollups[s] for s in subs_of(site, m)}))
        for m in mains
    }


def obstacles(works: Works, label: str, span: Interval, now_ms: int) -> list[Obstacle]:
    """Give what stands against closing a period."""
    out = []
    if span.end_ms > now_ms:
        out.append(Obstacle(label, "尚未结束 / is not over"))
    if works.state.books.touches():
        out.append(
            Obstacle(label, "尚有待重算的改动，请稍后再试 / changes are still being computed")
        )
    for row in balance_of(works, span):
        if row.is_broken and row.ratio is not None:
            text = (
                f"总表 {row.main_value:,.1f} 与分表之和 {row.subs_value:,.1f}"
                f" 相差 {row.ratio:+.1%}，超过 {row.limit:.0%}"
                " / main and subs differ by more than the limit"
            )
            out.append(Obstacle(row.main, text))
    return out


def close_period(
    works: Works, label: str, span: Interval, who: str, reason: str, now_ms: int
) -> Period:
    """Keep a period's figures; closing it again makes the next revision."""
    before = {p.label: p for p in works.state.books.periods()}.get(label)
    revision = 1 if before is None else before.revision + 1
    new = Period(
        label, revision, span.start_ms, span.end_ms, now_ms, who, reason,
        period_content(works, span),
    )  # fmt: skip
    works.state.books.close_period(new)
    return new


def review_periods(works: Works, now_ms: int, notes: Sequence[ChangeNote] | None) -> int:
    """Compare closed periods with what is known now; a figure that moved opens a correction.

    notes: what moved (only the periods they touch are looked at); None: look at all of them.
    Gives how many figures moved.
    """
    moved = 0
    for period in works.state.books.periods():
        if notes is not None and not any(
            n.start_ms < period.end_ms and n.end_ms > period.start_ms for n in notes
        ):
            continue
        now = period_content(works, Interval(period.start_ms, period.end_ms))
        causes = sorted({n.cause for n in notes or ()})
        found = _differences(period.content, now)
        works.state.books.withdraw_corrections(period.label, [subject for subject, *_ in found])
        for subject, old, new, unit in found:
            moved += 1
            cause = "; ".join(causes) or _papers(subject, period.content, now)
            works.state.books.open_correction(
                Correction(period.label, now_ms, subject, old, new, unit, cause)
            )
    return moved


def _papers(subject: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Give what a figure said of its factor, price or denominator, where that is not the same."""
    old, new = (c["figures"].get(subject, {}).get("caveats", ()) for c in (before, now))
    gone, come = ("; ".join(x for x in a if x not in b) for a, b in ((old, new), (new, old)))
    return f"{gone} → {come}" if gone or come else "factbook or site file changed"


def _differences(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> list[tuple[str, str, str, str]]:
    """Give (subject, before, after, unit) of every figure that differs."""
    out = []
    for group in ("figures", "meters"):
        for subject, old in before[group].items():
            new = now[group].get(subject, {"value": None})
            if _differs(old["value"], new["value"]):
                shown = [v if v is not None else "—" for v in (old["value"], new["value"])]
                out.append((subject, shown[0], shown[1], old["unit"]))
    return out


def _differs(old: str | None, new: str | None) -> bool:
    if old is None or new is None:
        return old is not new
    return abs(float(old) - float(new)) > SAME
