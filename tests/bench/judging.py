"""Judging at scale: a live pass over 1,000 meters × 30 rules, a year's backtest of 200 meters.

The live pass puts every rule on every meter, which no site does.  `METERS=`, `DAYS=` to change.
"""

import os
import sys
import time
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table

from server.periods import DAY_MS, QUARTER_MS
from server.rules.engine import alerts
from server.rules.kinds import KINDS, judge, learn, look_back_days
from server.rules.load import load_rules
from server.rules.model import Evidence, Judgement, Learned, Rule, Truth
from server.rules.windows import spread
from server.site.model import Carrier, Role
from tests.bench.meters import T0, Row, timed

METERS = int(os.environ.get("METERS", "1000"))
BACKTEST_METERS, AT_ONCE = 200, 40
DAYS = int(os.environ.get("DAYS", "365"))
RULES, JUDGED_DAYS, LEARN = 30, (1, 3), 28
SERIES = sorted(set().union(*(w.needs for w in KINDS.values())))


def main() -> int:
    """Measure; print figures, not verdicts."""
    table = Table("figure", "value", "target", title=f"judging · Python {sys.version.split()[0]}")
    for row in [*live(), *year()]:
        table.add_row(*row)
    Console().print(table)
    return 0


def rules_of(count: int) -> list[Rule]:
    """Give the shipped rules, the first ones again until there are so many."""
    shipped = load_rules()
    again = [replace(r, id=f"{r.id}_again") for r in shipped]
    return [*shipped, *again][:count]


def evidence(meters: int, days: int, seed: int = 1) -> Evidence:
    """Give made meters: work days, nights, some gaps, every further series."""
    rng = np.random.default_rng(seed)
    n = days * 96
    hour = np.tile(np.arange(96) / 4, days)
    workday = np.repeat(np.arange(days) % 7 < 5, 96)
    busy = (hour >= 8) & (hour < 17.5) & workday
    power = rng.uniform(2, 40, (meters, 1)) * (0.15 + busy) * rng.uniform(0.9, 1.1, (meters, n))
    power[rng.random((meters, n)) < 0.003] = np.nan
    people = np.where(busy, 20.0, 0.0) + np.zeros((meters, n))
    calm = {"capacity_kva": 500.0, "max_power": 500.0, "room_c": 26.0, "sealed": 0.0}
    calm |= {"clock_offset_s": 1.0, "month_used": 0.0, "month_share": 0.5}
    more = {name: np.full((meters, n), value) for name, value in calm.items()}
    more |= {name: power * 0.3 for name in SERIES if name not in calm}
    more["below"] = power * 0.97
    more["outdoor_c"] = 18 + 12 * np.sin(np.arange(n) / 900)
    more["coverage"] = np.ones((meters, n))
    more["door_moves"] = np.where(busy, 3.0, 0.0) + np.zeros((meters, n))
    grid = T0 + QUARTER_MS * np.arange(n + 1, dtype=np.int64)
    gates = np.ones((meters, 1), bool)
    minute = np.tile(np.arange(96) * 15, days)
    return Evidence(grid, power, people, busy, minute, workday, gates, more)


def live() -> list[Row]:
    """Judge the last days of all meters by every rule, with what was learned in the morning."""
    rules = rules_of(RULES)
    whole = evidence(METERS, LEARN + 1)
    began_s = time.perf_counter()
    learned = {
        r.id: {k: v[:, -1:].copy() for k, v in learn(r, whole, LEARN).items()} for r in rules
    }
    took_s = time.perf_counter() - began_s
    rows = [("learning of all, once a day", f"{took_s:.1f} s", "")]
    for days in JUDGED_DAYS:
        said, pass_s = timed(partial(one_pass, rules, whole, learned, days))
        tracemalloc.start()
        one_pass(rules, whole, learned, days)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        found, alerts_s = timed(partial(alerts_of, said))
        what = f"{METERS} meters × {RULES} rules, {days} day(s)"
        rows.append((what, f"{pass_s * 1e3:.0f} ms", "300 ms"))
        rows.append(("… memory at most above the evidence", f"{most / 1e6:.0f} MB", "150 MB"))
        rows.append((f"… its {found:,} alerts, one by one", f"{alerts_s * 1e3:.0f} ms", ""))
    return rows


Said = list[tuple[Rule, list[Judgement]]]


def one_pass(
    rules: Sequence[Rule], whole: Evidence, learned: Mapping[str, Learned], days: int
) -> Said:
    """Judge and give the judgements that are ever true; no rule looks back more than a week."""
    out: Said = []
    for r in rules:
        j = judge(r, last_days(whole, days + min(8, look_back_days(r))), learned[r.id])
        j = j.since(int(whole.edges_ms[-1]) - days * DAY_MS)
        fires = np.flatnonzero((j.truth == Truth.TRUE).any(-1))
        kept = Judgement(
            j.edges_ms, j.truth[fires], j.threshold[fires], j.floor[fires], j.excess[fires]
        )
        out.append((r, [kept.row(i) for i in range(len(fires))]))
    return out


def alerts_of(said: Said) -> int:
    """Give how many alerts the judgements make."""
    return sum(len(alerts(r, j)) for r, judgements in said for j in judgements)


def meters_for(rule: Rule, meters: int) -> int:
    """Give how many of a site's meters a rule selects: a third are AC circuits, a sixth mains."""
    s = rule.selector
    share = {"01B00": 0.33, "01A00": 0.2, "01A10": 0.2, "01A30": 0.05, "02000": 0.1}
    if s.carrier is Carrier.WATER:
        return max(1, round(0.1 * meters))
    if s.role is Role.MAIN or s.needs_sub or "no-ac-meter" in s.with_tags:
        return max(1, round(0.15 * meters))
    return max(1, round(share.get(s.end_use or "", 1.0) * meters))


def some_of(e: Evidence, count: int) -> Evidence:
    """Give the first meters of some evidence."""
    occupancy = None if e.occupancy is None else e.occupancy[:count]
    gates = None if e.has_gate is None else e.has_gate[:count]
    more = {k: v[:count] if v.ndim > 1 else v for k, v in e.more.items()}
    return replace(e, power=e.power[:count], occupancy=occupancy, has_gate=gates, more=more)


def last_days(e: Evidence, days: int) -> Evidence:
    """Give the last days of some evidence, without a copy."""
    return e.since(int(e.edges_ms[-1]) - days * DAY_MS)


def year() -> list[Row]:
    """Judge a year of 200 meters, learning each day from the 28 before."""
    rows = []
    for what, chosen in (
        ("each rule on the meters it selects", True),
        ("every rule on all", False),
    ):
        found, began_s = 0, time.perf_counter()
        for i in range(0, BACKTEST_METERS, AT_ONCE):
            e = evidence(min(AT_ONCE, BACKTEST_METERS - i), DAYS, i)
            for r in load_rules():
                seen = some_of(e, meters_for(r, AT_ONCE)) if chosen else e
                j = judge(r, seen, spread(learn(r, seen), seen))
                fires = np.flatnonzero((j.truth == Truth.TRUE).any(-1))
                found += sum(len(alerts(r, j.row(int(k)))) for k in fires)
        took_s = time.perf_counter() - began_s
        name = f"backtest of {BACKTEST_METERS} meters × {DAYS} days, {what}"
        rows += [(name, f"{took_s:.1f} s", "60 s"), ("… alerts found", f"{found:,}", "")]
    return rows


if __name__ == "__main__":
    sys.exit(main())
