"""What goes into the tables of alerts and comes out of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from server.state.life import Condition, Work


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert as a rule found it; `end_ms` None: the condition still holds.

    fired_ms: when it fired, or while pending when it will; evidence: see docs/alerts.md.
    """

    rule: str
    rule_version: int
    meter: str
    building: str
    start_ms: int
    fired_ms: int
    end_ms: int | None
    excess: float
    unit: str
    yuan: Decimal | None
    floor: float
    known_share: float
    day_state: str
    has_fired: bool = True
    severity: str = "notice"
    cause_key: str = ""
    kgco2: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def phase(self) -> str:
        """Give pending, lapsed, firing or resolved."""
        if not self.has_fired:
            return Condition.PENDING if self.end_ms is None else Condition.LAPSED
        return Condition.FIRING if self.end_ms is None else Condition.RESOLVED


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow(NewAlert):
    """A stored alert."""

    id: int
    work: Work = Work.NEW
    is_withdrawn: bool = False  # late data showed that it was never true
    parent_id: int | None = None  # the alert of the same cause that is told in its place
    assigned_to: str | None = None
    muted_until_ms: int | None = None
    closed_ms: int | None = None

    @property
    def condition(self) -> Condition:
        """Give what the rule says now."""
        return Condition.WITHDRAWN if self.is_withdrawn else Condition(self.phase)

    @property
    def order_number(self) -> str:
        """Give the number of its work order."""
        return f"GD-{self.id:06d}"


@dataclass(frozen=True, slots=True)
class TransitionRow:
    """A change of state; at_ms: when its condition was met; by: a person, or system."""

    id: int
    alert_id: int
    to_phase: str
    at_ms: int
    recorded_ms: int
    by: str
    detail: Mapping[str, Any]


def alert_row(values: Mapping[str, Any]) -> AlertRow:
    """Give an alert of its columns."""
    row = dict(values)
    phase = Condition(row.pop("phase"))
    has_fired = phase in {Condition.FIRING, Condition.RESOLVED, Condition.WITHDRAWN}
    yuan = row.pop("yuan")
    return AlertRow(
        **{**row, "work": Work(row["work"]), "evidence": json.loads(row["evidence"])},
        yuan=None if yuan is None else Decimal(str(yuan)),
        has_fired=has_fired,
        is_withdrawn=phase is Condition.WITHDRAWN,
    )


def alert_columns(new: NewAlert) -> dict[str, Any]:
    """Give the columns of an alert as a rule found it."""
    return {
        "rule": new.rule, "rule_version": new.rule_version, "meter": new.meter,
        "building": new.building, "phase": str(new.phase), "start_ms": new.start_ms,
        "fired_ms": new.fired_ms, "end_ms": new.end_ms, "excess": new.excess, "unit": new.unit,
        "yuan": None if new.yuan is None else str(new.yuan), "floor": new.floor,
        "known_share": new.known_share, "day_state": new.day_state, "severity": new.severity,
        "cause_key": new.cause_key, "kgco2": new.kgco2, "evidence": as_json(new.evidence),
    }  # fmt: skip


def transition_row(values: Mapping[str, Any]) -> TransitionRow:
    """Give a transition of its columns."""
    keys = ("id", "alert_id", "to_phase", "at_ms", "recorded_ms", "by")
    return TransitionRow(**{k: values[k] for k in keys}, detail=json.loads(values["detail"]))


def as_json(value: Mapping[str, Any]) -> str:
    """Write a detail down."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
