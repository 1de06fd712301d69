"""What a rule is, what it looks at, what it says.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from server.series import Flags, Times, Values
from server.site.model import Carrier, Meter, Role, Site

Bools = NDArray[np.bool_]


class Truth(IntEnum):
    """A judgement; unknown is not false."""

    UNKNOWN = -1
    FALSE = 0
    TRUE = 1


class Kind(StrEnum):
    """The typed kinds of rule."""

    LOAD_WHILE_UNOCCUPIED = "load_while_unoccupied"
    INFERRED_AC = "inferred_ac"
    LOAD_OUTSIDE_HOURS = "load_outside_hours"
    LIT_BY_DAY = "lit_by_day"
    SAVING_HOUR = "saving_hour"
    SETPOINT = "setpoint"
    SEALED_USE = "sealed_use"
    FLOW_NEVER_ZERO = "flow_never_zero"
    NIGHT_FLOW = "night_flow"
    BURST = "burst"
    BALANCE = "balance"
    NIGHT_BASELOAD = "night_baseload"
    DAY_OFF_USE = "day_off_use"
    ABNORMAL_DAY = "abnormal_day"
    TARGET_PACE = "target_pace"
    DEMAND = "demand"
    POWER_FACTOR = "power_factor"
    PHASE_IMBALANCE = "phase_imbalance"
    SILENT = "silent"
    FROZEN = "frozen"
    IMPLAUSIBLE = "implausible"
    CLOCK = "clock"
    GATE_SILENT = "gate_silent"


class Severity(StrEnum):
    """How urgent an alert is."""

    NOTICE = "notice"
    WARNING = "warning"
    SEVERE = "severe"


@dataclass(frozen=True, slots=True)
class Selector:
    """Which meters a rule judges; those of the whole site repeat the others: only if `with_site`.

    needs_sub: only meters with others below them, which should add up to them.
    """

    carrier: Carrier
    end_use: str | None = None
    with_tags: frozenset[str] = frozenset()
    without_tags: frozenset[str] = frozenset()
    buildings: frozenset[str] = frozenset()
    areas: frozenset[str] = frozenset()
    role: Role | None = None
    with_site: bool = False
    needs_sub: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """Evidence in, expected alerts out; part of the rule's own file and run as a test.

    values: (n,) kW or m³/h per quarter; more: (n,) each by name; learned: one number each by name;
    minute: of the day at the first quarter; alerts: (start quarter, end quarter or None: open).
    """

    name: str
    values: tuple[float, ...]
    occupancy: tuple[float, ...] | None
    is_work_time: tuple[bool, ...]
    is_workday: tuple[bool, ...]
    minute: int
    learned: Mapping[str, float]
    more: Mapping[str, tuple[float, ...]]
    alerts: tuple[tuple[int, int | None], ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what, where, how long, and what to do about it."""

    id: str
    version: int
    kind: Kind
    title: str
    advice: str
    severity: Severity
    selector: Selector
    parameters: Mapping[str, float]
    hold_ms: int  # true this long before it fires
    resolve_ms: int  # false this long before it resolves
    examples: tuple[Example, ...] = field(default=())

    def targets(self, site: Site) -> tuple[Meter, ...]:
        """Give the meters the rule judges."""
        s = self.selector
        above = {m.parent for m in site.meters}
        return tuple(
            m
            for m in site.meters_of(s.carrier, role=s.role, end_use=s.end_use)
            if (s.with_site or m.building != site.id)
            and s.with_tags <= m.tags
            and not s.without_tags & m.tags
            and (not s.buildings or m.building in s.buildings)
            and (not s.areas or m.area in s.areas)
            and (not s.needs_sub or (m.id in above and m.is_fully_sub_metered))
        )


Learned = Mapping[str, Values]  # what the days before taught, by name; broadcasts over intervals


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a rule sees of one meter (n,) or of several (m, n), on one grid of 15 minutes.

    edges_ms: (n + 1,); power: mean kW or m³/h, NaN unknown; occupancy: persons, NaN unknown,
    None: no gate there; is_work_time: workday hours with grace; minute: of the site's day, at the
    interval's start; these three and is_workday (n,). has_gate: (m, 1) where there are several.
    more: further series by name, each like power or (n,), NaN unknown (see docs/detection.md).
    """

    edges_ms: Times
    power: Values
    occupancy: Values | None
    is_work_time: Bools
    minute: NDArray[np.int64]
    is_workday: Bools
    has_gate: Bools | None = None
    more: Mapping[str, Values] = field(default_factory=dict)

    def row(self, i: int) -> "Evidence":
        """Give one meter's evidence out of several."""
        has_gate = True if self.has_gate is None else bool(self.has_gate[i, 0])
        occupancy = self.occupancy[i] if self.occupancy is not None and has_gate else None
        more = {name: v[i] if v.ndim > 1 else v for name, v in self.more.items()}
        return replace(
            self, power=self.power[i], occupancy=occupancy, has_gate=None, more=more
        )  # fmt: skip

    def since(self, start_ms: int) -> "Evidence":
        """Give the part from an instant on, which must be a midnight; no copy."""
        i = int(np.searchsorted(self.edges_ms, start_ms, "left"))
        if not i:
            return self
        occupancy = None if self.occupancy is None else self.occupancy[..., i:]
        more = {name: v[..., i:] for name, v in self.more.items()}
        return replace(
            self, edges_ms=self.edges_ms[i:], power=self.power[..., i:], occupancy=occupancy,
            is_work_time=self.is_work_time[i:], minute=self.minute[i:],
            is_workday=self.is_workday[i:], more=more,
        )  # fmt: skip

    def series(self, name: str) -> Values:
        """Give a further series; all unknown where it is not there."""
        found = self.more.get(name)
        return np.full(len(self.minute), np.nan) if found is None else found


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a rule says of each interval, (n,) or (m, n): truth, expected floor, what lies above.

    threshold and floor in kW or m³/h; excess in kWh or m³, 0 where the truth is not TRUE.
    """

    edges_ms: Times
    truth: Flags
    threshold: Values
    floor: Values
    excess: Values

    def row(self, i: int) -> "Judgement":
        """Give one meter's judgement out of several."""
        return Judgement(
            self.edges_ms, self.truth[i], self.threshold[i], self.floor[i], self.excess[i]
        )

    def since(self, start_ms: int) -> "Judgement":
        """Give the part from an instant on."""
        i = int(np.searchsorted(self.edges_ms, start_ms, "left"))
        return Judgement(
            self.edges_ms[i:], self.truth[..., i:], self.threshold[..., i:],
            self.floor[..., i:], self.excess[..., i:],
        )  # fmt: skip
