"""The inbox: which alerts wait for somebody, what they cost, how far people are with them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from server.analysis import Analysis
from server.notify.model import RANKS
from server.state import AlertRow
from server.state.alerts import Condition, Work
from server.state.found import is_muted
from server.web.views import alert_rows

VIEWS = {
    "todo": "待处理", "new": "未确认", "firing": "进行中", "muted": "静默中", "closed": "已关闭",
    "false": "误报", "withdrawn": "已撤回", "all": "全部",
}  # fmt: skip
SORTS = {"cost": "损失从高到低", "newest": "最新在前", "severity": "先严重后损失"}
PER_PAGE, MOST = 100, 5000
_OPEN = (Work.NEW, Work.ACKNOWLEDGED, Work.ASSIGNED)
_TOLD = (Condition.FIRING, Condition.RESOLVED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the inbox is asked for; empty: all of them."""

    view: str = "todo"
    rule: str = ""
    building: str = ""
    severity: str = ""
    person: str = ""
    sort: str = "cost"
    page: int = 1

    def link(self, **change: Any) -> str:
        """Give the address of the inbox as asked for, with something changed."""
        keys = ("view", "rule", "building", "severity", "person", "sort")
        asked = {k: getattr(self, k) for k in keys} | {"page": 1} | change
        usual = {"view": "todo", "sort": "cost", "page": 1}
        left = {k: v for k, v in asked.items() if v and usual.get(k) != v}
        return "/alerts" + (f"?{urlencode(left)}" if left else "")


def inbox_page(analysis: Analysis, wanted: Wanted) -> dict[str, Any]:
    """Give the inbox page; children of a cause are counted, not listed."""
    now_ms = analysis.clock.now_ms()
    everything = _read(analysis, wanted)
    behind = Counter(a.parent_id for a in everything if a.parent_id is not None)
    found = [a for a in everything if a.parent_id is None and _is_wanted(a, wanted, now_ms)]
    shown = _sorted(found, wanted.sort)
    first = (wanted.page - 1) * PER_PAGE
    people = {a.assigned_to for a in everything if a.assigned_to}
    return {
        "wanted": wanted,
        "views": VIEWS,
        "sorts": SORTS,
        "people": sorted(people | ({wanted.person} if wanted.person else set())),
        "rules": analysis.works.rules,
        "rows": rows_of(analysis, shown[first : first + PER_PAGE], behind),
        "count": len(found),
        "pages": max(1, -(-len(found) // PER_PAGE)),
        "is_cut": len(everything) >= MOST,
        "total": total_of(found),
        "firing": sum(a.condition is Condition.FIRING for a in found),
        "unseen": sum(a.work is Work.NEW for a in found),
        "said": "",
        "is_done": True,
    }


def rows_of(
    analysis: Analysis, found: Sequence[AlertRow], behind: Mapping[int, int] | None = None
) -> list[dict[str, Any]]:
    """Give alerts as rows of the inbox, each with the stored one, and how many stand behind it."""
    now_ms = analysis.clock.now_ms()
    return [
        {**row, "row": a, "behind": (behind or {}).get(a.id, 0), "is_muted": is_muted(a, now_ms)}
        for row, a in zip(alert_rows(analysis, found), found, strict=True)
    ]


def total_of(found: Iterable[AlertRow]) -> dict[str, Any]:
    """Give what alerts cost together: yuan, kWh, m3, kgCO2, and how many have no price."""
    rows = list(found)
    return {
        "yuan": sum((a.yuan for a in rows if a.yuan is not None), Decimal(0)),
        "unpriced": sum(a.yuan is None for a in rows),
        "kwh": sum(a.excess for a in rows if a.unit == "kWh"),
        "m3": sum(a.excess for a in rows if a.unit == "m³"),
        "kgco2": sum(a.kgco2 for a in rows if a.kgco2 is not None),
    }


def _read(analysis: Analysis, wanted: Wanted) -> list[AlertRow]:
    works: Sequence[Work] = _OPEN
    conditions: Sequence[Condition] = _TOLD
    match wanted.view:
        case "new":
            works = (Work.NEW,)
        case "firing":
            conditions = (Condition.FIRING,)
        case "closed":
            works = (Work.CLOSED,)
        case "false":
            works = (Work.FALSE_ALARM,)
        case "withdrawn":
            works, conditions = tuple(Work), (Condition.WITHDRAWN,)
        case "all":
            works, conditions = tuple(Work), (*_TOLD, Condition.WITHDRAWN)
    return analysis.works.state.inbox.open(
        rule=wanted.rule or None, building=wanted.building or None,
        severity=wanted.severity or None, work=works, conditions=conditions,
        with_children=True, limit=MOST,
    )  # fmt: skip


def _is_wanted(a: AlertRow, wanted: Wanted, now_ms: int) -> bool:
    if wanted.person and a.assigned_to != wanted.person:
        return False
    if wanted.view == "muted":
        return is_muted(a, now_ms)
    return wanted.view not in {"todo", "new"} or not is_muted(a, now_ms)


def _sorted(found: list[AlertRow], sort: str) -> list[AlertRow]:
    """Sort rows that came newest first; what has no price stands behind what has."""
    if sort == "newest":
        return found
    dearest = sorted(found, key=lambda a: (a.yuan is None, -(a.yuan or 0)))
    if sort == "cost":
        return dearest
    return sorted(dearest, key=lambda a: -RANKS.get(a.severity, 0))
