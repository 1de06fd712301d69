"""The wall: what is wasted now, where, for how much; read from across a room."""

from typing import Any

import numpy as np
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from server.access import Asked
from server.analysis import Analysis
from server.notify.model import RANKS
from server.periods import QUARTER_MS, Interval
from server.site.model import Carrier
from server.state import AlertRow
from server.state.alerts import Condition
from server.state.found import is_muted
from server.web.inbox import rows_of, total_of
from server.web.labels import SEVERITIES
from server.web.render import page
from server.web.views import local

SHOWN, REFRESH_S = 8, 60
_QUARTERS = 4  # the last hour: a building that said nothing in it is not known
router = APIRouter(include_in_schema=False)


@router.get("/wall")
def wall(asked: Asked) -> HTMLResponse:
    """Show the wall; the page asks again by itself."""
    return page("wall", asked, **wall_page(asked))


def wall_page(asked: Analysis) -> dict[str, Any]:
    """Give the wall: firing alerts most severe and dearest first, and every building's state."""
    now_ms, today = asked.clock.now_ms(), asked.period().today
    found = asked.works.state.inbox.open(conditions=(Condition.FIRING,), limit=5000)
    firing = [a for a in found if not is_muted(a, now_ms)]
    firing.sort(key=lambda a: (-RANKS.get(a.severity, 0), a.yuan is None, -(a.yuan or 0)))
    fired = asked.works.state.alerts(today.start_ms, now_ms + 1)
    since = [a for a in fired if a.fired_ms >= today.start_ms and a.parent_id is None]
    return {
        "rows": rows_of(asked, firing[:SHOWN]),
        "firing": len(firing),
        "more": max(0, len(firing) - SHOWN),
        "total": total_of(firing),
        "fired_today": len(since),
        "over_today": sum(a.end_ms is not None for a in since),
        "buildings": [
            _building(asked, b.id, b.name, firing) for b in asked.site.compound_buildings
        ],
        "power": _power(asked, None),
        "today_kwh": asked.answer("energy_kwh", today).value,
        "refresh_s": REFRESH_S,
        "clock": local(now_ms, asked),
    }


def _building(asked: Analysis, building: str, name: str, firing: list[AlertRow]) -> dict[str, Any]:
    mine = [a for a in firing if a.building == building]
    power = _power(asked, building)
    worst = max((a.severity for a in mine), key=lambda s: RANKS.get(s, 0), default="")
    state = worst or ("unknown" if power is None else "calm")
    words = {**SEVERITIES, "calm": "正常", "unknown": "无数据"}
    text = f"{len(mine)} 条{words[state]}" if mine else words[state]
    return {"id": building, "name": name, "power": power, "state": state, "text": text}


def _power(asked: Analysis, building: str | None) -> float | None:
    """Give the newest known mean power of the last hour, kW; None: nothing is known of it."""
    end_ms = asked.clock.now_ms() // QUARTER_MS * QUARTER_MS
    day = asked.period().today
    span = Interval(min(day.start_ms, end_ms - _QUARTERS * QUARTER_MS), end_ms)
    r = asked.inputs(span, building).rollup(Carrier.ELECTRICITY)
    if r is None:
        return None
    last = r.values[-_QUARTERS:]
    known = last[~np.isnan(last)]
    return float(known[-1]) * _QUARTERS if len(known) else None
