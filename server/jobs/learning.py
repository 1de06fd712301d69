"""Learning: floors and habits of meters, once a day, kept where people see and pin them."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from server.jobs.evidence import Gathered
from server.jobs.works import Works
from server.periods import DAY_MS, Interval, day_of, days_in, midnight_ms
from server.rules.kinds import KINDS, LEARN_DAYS, learn
from server.rules.kinds_water import nothing
from server.rules.model import Learned, Rule
from server.series import Values
from server.site.model import Meter
from server.state.learned import LearnedRow

AT_ONCE = 100  # meters: bounds the memory
Kept = dict[tuple[str, str], dict[str, dict[date, float]]]


def learned_rows(works: Works, interval: Interval) -> Kept:
    """Give what is known of the days of a span, by (rule, meter), name, day; a pin stands above.

    Days that nobody has learned yet are learned from the 28 days before and kept.  A day that is
    not known for one meter of a rule is learned again for that meter.
    """
    site = works.site
    days = list(days_in(interval, site.zone))
    learned, pinned = _kept(works, days)
    missing = [
        (r, [m for m in r.targets(site) if not _is_known(learned, r.id, m.id, days)])
        for r in works.rules
        if KINDS[r.kind].learn is not nothing
    ]
    meters = sorted({m.id for _, found in missing for m in found})
    for i in range(0, len(meters), AT_ONCE):
        some = set(meters[i : i + AT_ONCE])
        _learn(works, days, [(r, [m for m in ms if m.id in some]) for r, ms in missing])
    if meters:
        learned, pinned = _kept(works, days)
    return _with_pins(learned, pinned, days)


def lay(kept: Kept, rule: Rule, meters: Sequence[Meter], days: Sequence[date]) -> Learned:
    """Give learned values by name, (m, days), NaN where not known, to be spread."""
    names = sorted({n for m in meters for n in kept.get((rule.id, m.id), {})})
    out: dict[str, Values] = {}
    for name in names:
        out[name] = np.array(
            [
                [by_day.get(d, np.nan) for d in days]
                for by_day in (kept.get((rule.id, m.id), {}).get(name, {}) for m in meters)
            ]
        )
    return out


def _is_known(kept: Kept, rule: str, meter: str, days: Sequence[date]) -> bool:
    found = kept.get((rule, meter))
    return found is not None and all(any(d in v for v in found.values()) for d in days)


def _kept(works: Works, days: Sequence[date]) -> tuple[Kept, list[LearnedRow]]:
    """Give what was learned of the days, and the pins."""
    out: Kept = {}
    pinned: list[LearnedRow] = []
    for row in works.state.learned.of_days(days[0].isoformat(), days[-1].isoformat()):
        if row.pinned_by is not None:
            pinned.append(row)
            continue
        by_name = out.setdefault((row.rule, row.meter), {})
        value = np.nan if row.value is None else row.value
        by_name.setdefault(row.name, {})[date.fromisoformat(row.day)] = value
    return out, pinned


def _with_pins(learned: Kept, pinned: Sequence[LearnedRow], days: Sequence[date]) -> Kept:
    out = learned
    for row in pinned:
        by_day = out.setdefault((row.rule, row.meter), {}).setdefault(row.name, {})
        since = date.fromisoformat(row.day)
        by_day |= {d: np.nan if row.value is None else row.value for d in days if d >= since}
    return out


def _learn(works: Works, days: Sequence[date], missing: Sequence[tuple[Rule, list[Meter]]]) -> None:
    site = works.site
    start_ms = midnight_ms(days[0] - timedelta(days=LEARN_DAYS), site.zone)
    end_ms = midnight_ms(days[-1], site.zone) + DAY_MS
    meters = list({m.id: m for _, found in missing for m in found}.values())
    gathered = Gathered.of(works.store, site, Interval(start_ms, end_ms)).reading(meters)
    rows: list[LearnedRow] = []
    for rule, found in missing:
        if not found:
            continue
        taught = learn(rule, gathered.evidence(rule, found), LEARN_DAYS)
        for name, values in taught.items():
            rows += _rows(rule, found, name, values, days)
    works.state.learned.save(rows)


def _rows(
    rule: Rule, meters: Sequence[Meter], name: str, values: Values, days: Sequence[date]
) -> list[LearnedRow]:
    out = []
    for i, m in enumerate(meters):
        for k, day in enumerate(days, LEARN_DAYS):
            value = float(values[i, k])
            kept = None if np.isnan(value) else round(value, 6)
            out.append(LearnedRow(rule.id, m.id, name, day.isoformat(), kept))
    return out


def learned_of(works: Works, rule: Rule, meter: Meter, at_ms: int) -> list[tuple[str, str]]:
    """Give (name, value and day, by whom if pinned) that held on the day of an instant."""
    day = day_of(at_ms, works.site.zone).isoformat()
    rows = [
        r for r in works.state.learned.of_days(day, day)
        if r.rule == rule.id and r.meter == meter.id
    ]  # fmt: skip
    shown = {}
    for r in sorted(rows, key=lambda r: r.pinned_by is not None):
        value = "—" if r.value is None else f"{r.value:g}"
        by = f" · 固定 pinned by {r.pinned_by}" if r.pinned_by else ""
        shown[r.name] = f"{value} · {r.day}{by}"
    return sorted(shown.items())


def pins(works: Works, name: str | None = None) -> list[LearnedRow]:
    """Give what people pinned."""
    found = works.state.learned.pinned()
    return [r for r in found if name is None or r.name == name]


def pins_over(
    works: Works, taught: Learned, rule: Rule, meters: Sequence[Meter], days: Sequence[date]
) -> Learned:
    """Give what was learned, (m, days), with what people pinned in its place."""
    mine = [r for r in pins(works) if r.rule == rule.id and r.name in taught]
    if not mine:
        return taught
    out = {name: values.copy() for name, values in taught.items()}
    at = {m.id: i for i, m in enumerate(meters)}
    for row in mine:
        if row.meter in at:
            since = np.array([d >= date.fromisoformat(row.day) for d in days])
            value = np.nan if row.value is None else row.value
            out[row.name][at[row.meter], since] = value
    return out
