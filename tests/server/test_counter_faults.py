"""Every fault, alone and combined, against the truth: exact where the counters allow it."""

from collections.abc import Callable

import numpy as np
import pytest

from server.periods import HOUR_MS, MINUTE_MS, Step
from server.rollup.counter import register_track
from server.rollup.interval import rollup_track
from server.rollup.model import Grade
from server.rollup.shape import with_shapes
from server.rollup.ticks import to_ticks
from server.rollup.track import EventKind, Track
from tests.server.fault_cases import Case, alone, combined, hours, make
from tests.server.small_site import ZONE

ESTIMATES = {EventKind.RESET, EventKind.JUMP, EventKind.GUESSED_ROLLOVER}
BATCH = 250
BATCHES = 24  # × 250 = 6,000 combined cases


def judge(case: Case, name: str) -> None:
    """Hold a case against its truth."""
    track = register_track(case.series(), case.how)
    shaped = with_shapes(track, ZONE)
    edges = hours(case)
    r = rollup_track("m", shaped, edges, Step.HOUR)
    values = to_ticks(np.nan_to_num(r.values))
    assert not np.isnan(r.values).any(), (name, "missing")
    assert (values >= 0).all(), (name, "negative")
    assert values.sum() == shaped.totals[-1] - shaped.totals[0], name
    error = int(values.sum()) - int(case.truth[-1] - case.truth[0])
    assert abs(error) <= doubt_of(case, track), (name, error, track.events)
    if not case.moves and not case.loses:
        off = np.abs(values - np.diff(case.truth[::60]))
        bound = edge_bounds(case, track, edges)
        measured = r.grades == Grade.MEASURED
        wrong = measured & (off > bound)
        assert not wrong.any(), (name, np.flatnonzero(wrong)[0], off[wrong][0], bound[wrong][0])
    _flags(track, edges, r.grades, name)
    is_pause = bool(case.hidden_ms) and case.needs_ms is not None  # a standstill over a new factor
    if error and not is_pause:
        assert (r.grades >= Grade.ESTIMATED).any(), (name, error, "off and not flagged")


def doubt_of(case: Case, track: Track) -> int:
    """Give the stated bound of the total's error: 0 unless a person could not know it either."""
    doubt = 0
    if case.loses:
        estimates = [e for e in track.events if e.kind in ESTIMATES]
        doubt += sum(case.how.bound(e.end_ms - e.start_ms) for e in estimates)
        doubt += case.how.bound(case.hidden_ms) if case.hidden_ms else 0
        doubt += case.how.bound(2 * HOUR_MS) if case.moves else 0
    if case.moves and (case.exchanged or case.needs_ms is not None):
        doubt += case.how.bound(2 * HOUR_MS)  # readings of before stand after it, or the reverse
    zeros = [e for e in track.events if e.kind is EventKind.RESET]
    if zeros and case.extra and not case.loses:  # a zero in front of a gap looks like a reset
        doubt += case.how.bound(int(np.diff(track.times_ms).max()))
    if case.needs_ms is not None and not has_reading(case, case.needs_ms):
        at = int(np.searchsorted(track.times_ms, case.needs_ms))
        doubt += case.how.bound(int(track.times_ms[at + 1] - track.times_ms[at - 1]))
    if case.needs_ms is not None and case.hidden_ms:  # the factor changed behind a standstill
        doubt += case.how.bound(case.hidden_ms)
    return doubt


def has_reading(case: Case, time_ms: int) -> bool:
    """Say whether the reading of an instant arrived as it was."""
    at = int(np.searchsorted(case.times, time_ms))
    return bool(case.present[at]) and time_ms not in {t for t, _ in case.extra}


def edge_bounds(case: Case, track: Track, edges: np.ndarray) -> np.ndarray:
    """Give the most that a measured interval may be off.

    That is what was used between the readings around an edge that has none of its own, a
    register's own dip, and what passed through a standstill too short to be told from a pause.
    """
    j = np.clip(np.searchsorted(track.times_ms, edges), 1, len(track.times_ms) - 1)
    around = np.where(np.isin(edges, track.times_ms), 0, track.totals[j] - track.totals[j - 1])
    longest = int(np.diff(track.times_ms).max())
    hidden = case.how.bound(longest) if case.hidden_ms else 0
    if case.extra and any(e.kind is EventKind.ROLLOVER for e in track.events):
        hidden += case.how.bound(4 * case.every * MINUTE_MS)  # a zero among the first counts
    return np.asarray(around[1:] + around[:-1] + hidden + 2 * case.dip * case.top_factor)


def _flags(track: Track, edges: np.ndarray, grades: np.ndarray, name: str) -> None:
    """Every hour that an estimate or a gap touches says so."""
    for e in track.events:
        if e.kind in ESTIMATES | {EventKind.GAP}:
            touched = (edges[:-1] < e.end_ms) & (edges[1:] > e.start_ms)
            assert (grades[touched] >= Grade.ESTIMATED).all(), (name, e, "not flagged")


@pytest.mark.parametrize("fault", list(alone()), ids=lambda f: f.__name__)
def test_a_fault_alone_costs_nothing_that_could_be_known(fault: Callable[[Case], None]) -> None:
    for seed in range(100):
        case = make(seed)
        fault(case)
        judge(case, f"{fault.__name__} {seed}")


@pytest.mark.parametrize("batch", range(BATCHES))
def test_faults_together_cost_nothing_that_could_be_known(batch: int) -> None:
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        case, names = combined(10_000 + seed)
        judge(case, f"{seed}: {', '.join(names)}")
