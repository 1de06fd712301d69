"""Alerts and judgements made by hand, on a state database of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from server.jobs.works import Desk
from server.periods import HOUR_MS, QUARTER_MS
from server.rules.load import load_rules
from server.state import AlertRow, NewAlert, State
from server.state.found import Grouping, Judged, alone
from tests.server.small_site import SITE, at

NOON = at("2026-03-02T12:00")
NEW = NewAlert(
    rule="unattended_ac", rule_version=1, meter="E2", building="a", start_ms=NOON,
    fired_ms=NOON + 2 * QUARTER_MS, end_ms=None, excess=3.0, unit="kWh", yuan=Decimal("2.10"),
    floor=0.0, known_share=1.0, day_state="published",
)  # fmt: skip
PENDING = replace(NEW, has_fired=False)
DONE = replace(NEW, end_ms=NOON + 3 * HOUR_MS, excess=9.0, yuan=Decimal("6.30"))


def desk_of(state: State) -> Desk:
    """Give the desk of the small site."""
    return Desk(state, SITE, load_rules())


def record(
    state: State, *found: NewAlert, now_ms: int = NOON + HOUR_MS, since_ms: int = NOON - HOUR_MS,
    group: Grouping = alone,
) -> int:  # fmt: skip
    """Record a pass that saw (unattended_ac, E2), or what the alerts are of, up to now."""
    keys = {(a.rule, a.meter) for a in found} or {(NEW.rule, NEW.meter)}
    judged = [
        Judged(r, m, since_ms, now_ms, tuple(a for a in found if (a.rule, a.meter) == (r, m)))
        for r, m in sorted(keys)
    ]
    return state.inbox.record(judged, now_ms, group)


def only(state: State) -> AlertRow:
    """Give the one alert there is."""
    rows: Sequence[AlertRow] = [a for n in range(1, 50) if (a := state.inbox.get(n)) is not None]
    (row,) = rows
    return row


def phases(state: State, number: int = 1) -> list[str]:
    """Give an alert's transitions in the order they were recorded."""
    return [t.to_phase for t in state.inbox.transitions(number)]


@dataclass
class MovableClock:
    """A wall clock that tests set."""

    at_ms: int = NOON

    def now_ms(self) -> int:
        """Give the set time."""
        return self.at_ms

    def monotonic_s(self) -> float:
        """Give the same in seconds."""
        return self.at_ms / 1000
