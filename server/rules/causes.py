"""Causes: which alerts say the same thing, and which of them is told.  Pure.

Data alerts lead to the highest meter that is also complained of: an outage of a main meter is one
alert, not forty.  Load in an empty building leads to the building; water that runs by night and
all day is one leak, and a main's night, day off and whole day above the usual are one cause.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from server.site.model import Meter, Site

DATA_KINDS = frozenset({"silent", "frozen", "implausible", "clock"})
EMPTY_KINDS = frozenset({"load_while_unoccupied", "inferred_ac"})
LEAK_KINDS = frozenset({"flow_never_zero", "night_flow"})  # a burst is told beside them, at once
MORE_KINDS = frozenset({"night_baseload", "day_off_use", "abnormal_day"})


@dataclass(frozen=True, slots=True)
class Firing:
    """What grouping needs to know of a firing alert."""

    id: int
    kind: str
    meter: str
    start_ms: int
    cause_key: str


def cause_key(kind: str, meter: Meter) -> str:
    """Give the key that alerts of one cause may share; empty: each is its own."""
    if kind in DATA_KINDS:
        return f"data:{kind}"
    if kind in LEAK_KINDS:
        return f"leak:{meter.id}"
    if kind in MORE_KINDS:
        return f"more:{meter.id}"
    return f"empty:{meter.building}" if kind in EMPTY_KINDS else ""


def parents(firing: Iterable[Firing], site: Site) -> dict[int, int]:
    """Give {child id: parent id} of firing alerts; an alert of its own is in neither."""
    by_key: dict[str, list[Firing]] = {}
    for alert in firing:
        if alert.cause_key:
            by_key.setdefault(alert.cause_key, []).append(alert)
    out: dict[int, int] = {}
    for rows in by_key.values():
        rows.sort(key=lambda a: (a.start_ms, a.id))
        is_data = rows[0].kind in DATA_KINDS
        out |= _by_tree(rows, site) if is_data else {a.id: rows[0].id for a in rows[1:]}
    return out


def _by_tree(rows: list[Firing], site: Site) -> dict[int, int]:
    """Lead each alert to the highest meter above it, or on its device, that is complained of."""
    meters = {m.id: m for m in site.meters}
    above = {a.meter: _above(meters, a.meter) for a in rows}
    # a parent always stands before its children in this order, so that no two hide each other
    rows = sorted(rows, key=lambda a: (len(above[a.meter]), a.start_ms, a.id))
    first: dict[str, Firing] = {}
    on_device: dict[str, Firing] = {}
    out: dict[int, int] = {}
    for alert in rows:
        device = meters[alert.meter].device if alert.meter in meters else ""
        higher = [first[m] for m in above[alert.meter] if m in first]
        same = [x for x in (first.get(alert.meter), on_device.get(device)) if x is not None]
        found = [*higher[-1:], *same]
        if found:
            out[alert.id] = out.get(found[0].id, found[0].id)
        first.setdefault(alert.meter, alert)
        if device:
            on_device.setdefault(device, alert)
    return out


def _above(meters: dict[str, Meter], meter: str) -> list[str]:
    """Give the meters above one, nearest first."""
    out: list[str] = []
    at = meters.get(meter)
    while at is not None and at.parent and at.parent not in out:
        out.append(at.parent)
        at = meters.get(at.parent)
    return out
