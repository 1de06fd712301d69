"""Examples: a rule file's evidence in, its alerts out.  Pure."""

import numpy as np

from server.periods import MINUTE_MS, QUARTER_MS
from server.rules.engine import alerts
from server.rules.kinds import judge
from server.rules.model import Evidence, Example, Rule

DAY_ONE_MS = 1_767_196_800_000  # 2026-01-01 00:00 in Hunan: examples lie on this day and after
Found = tuple[tuple[int, int | None], ...]


def found_in(rule: Rule, e: Example) -> Found:
    """Give the alerts of an example: (start quarter, end quarter or None: still open)."""
    evidence = evidence_of_example(e)
    learned = {name: np.array([value]) for name, value in e.learned.items()}
    spans = alerts(rule, judge(rule, evidence, learned))
    first = int(evidence.edges_ms[0])
    return tuple(
        (
            (s.start_ms - first) // QUARTER_MS,
            None if s.end_ms is None else (s.end_ms - first) // QUARTER_MS,
        )
        for s in spans
    )


def evidence_of_example(e: Example) -> Evidence:
    """Give an example's evidence."""
    n = len(e.values)
    start_ms = DAY_ONE_MS + e.minute * MINUTE_MS
    return Evidence(
        start_ms + np.arange(n + 1, dtype=np.int64) * QUARTER_MS,
        np.array(e.values),
        None if e.occupancy is None else np.array(e.occupancy),
        np.array(e.is_work_time, bool),
        (e.minute + 15 * np.arange(n)) % 1440,
        np.array(e.is_workday, bool),
        more={name: np.array(values) for name, values in e.more.items()},
    )
