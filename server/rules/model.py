"""What a rule is, what it looks at, what it says.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from server.series import Flags, Times, Values
from server.site.model import Carrier, Meter, Site

Bools = NDArray[np.bool_]


class Truth(IntEnum):
    """A judgement; unknown is not false."""

    UNKNOWN = -1
    FALSE = 0
    TRUE = 1


class Kind(StrEnum):
    """The typed kinds of rule."""

    LOAD_WHILE_UNOCCUPIED = "load_while_unoccupied"
    LOAD_OUTSIDE_HOURS = "load_outside_hours"
    FLOW_NEVER_ZERO = "flow_never_zero"


class Severity(StrEnum):
    """How urgent an alert is."""

    NOTICE = "notice"
    WARNING = "warning"
    SEVERE = "severe"


@dataclass(frozen=True, slots=True)
class Selector:
    """Which meters a rule judges; meters of the whole site are left out, they repeat the others."""

    carrier: Carrier
    end_use: str | None = None
    with_tags: frozenset[str] = frozenset()
    without_tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Example:
    """Evidence in, expected alerts out; part of the rule's own file and run as a test.

    values: (n,) kW or m³/h per quarter; alerts: (start quarter, end quarter or None: open).
    """

    name: str
    values: tuple[float, ...]
    occupancy: tuple[float, ...] | None
    is_work_time: tuple[bool, ...]
    in_window: tuple[bool, ...]
    threshold: float
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
        return tuple(
            m
            for m in site.meters_of(s.carrier, end_use=s.end_use)
            if m.building != site.id and s.with_tags <= m.tags and not s.without_tags & m.tags
        )


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a rule sees of one meter, on one grid of 15 minutes: edges (n + 1,), the rest (n,).

    power: mean kW or m³/h, NaN unknown; occupancy: persons, NaN unknown, None: no gate there;
    is_work_time: workday hours with grace; is_night: the site's night window or a day off.
    """

    edges_ms: Times
    power: Values
    occupancy: Values | None
    is_work_time: Bools
    minute: NDArray[np.int64]  # of the site's day, at the interval's start
    is_workday: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a rule says, (n,) per interval: truth codes, the expected floor, what lies above it.

    threshold and floor in kW or m³/h; excess in kWh or m³, 0 where the truth is not TRUE.
    """

    edges_ms: Times
    truth: Flags
    threshold: Values
    floor: Values
    excess: Values
