"""Rules on the console: what each says and learned, how often it was right, what is expected."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from server.access import Asked, Editing
from server.analysis import Analysis
from server.periods import DAY_MS
from server.rules.model import Rule
from server.state.alerts import Rate, WhitelistEntry, Work
from server.state.learned import LearnedRow
from server.state.life import WHITELIST_REASONS
from server.web import labels
from server.web.alert_pages import Sent, answer
from server.web.inbox import rows_of, total_of
from server.web.render import page
from server.web.ruling import ruled
from server.web.views import local, today_of

HISTORY_DAYS, LEARNED_DAYS, SHOWN = 90, 3, 50
router = APIRouter(include_in_schema=False)


@router.get("/rules")
def rules(asked: Asked) -> HTMLResponse:
    """Show every rule with how often it was right."""
    inbox, since_ms = asked.works.state.inbox, asked.clock.now_ms() - HISTORY_DAYS * DAY_MS
    rates = inbox.false_alarm_rate(since_ms)
    shown = [
        {
            "rule": r,
            "rate": rates.get(r.id, Rate(r.id, 0, 0, 0)),
            "meters": len(r.targets(asked.site)),
        }
        for r in asked.works.rules
    ]
    return page("rules", asked, rows=shown, days=HISTORY_DAYS)


@router.get("/rules/{name}")
def rule(name: str, asked: Asked) -> HTMLResponse:
    """Show one rule."""
    return page("rule", asked, **rule_page(asked, _known(asked, name)))


@router.post("/rules/{name}")
def edit(name: str, sent: Sent, editing: Editing) -> HTMLResponse:
    """Take a pin or expected use in or out; show the rule and what became of it."""
    asked = editing.analysis
    found = _known(asked, name)
    said, is_done = ruled(editing, found, sent)
    return answer("rule", asked, rule_page(asked, found), said, is_done=is_done)


def _known(asked: Analysis, name: str) -> Rule:
    for found in asked.works.rules:
        if found.id == name:
            return found
    raise HTTPException(404, f"没有这条规则 / no such rule: {name}")


def rule_page(asked: Analysis, found: Rule) -> dict[str, Any]:
    """Give a rule's page."""
    inbox, now_ms = asked.works.state.inbox, asked.clock.now_ms()
    since_ms = now_ms - HISTORY_DAYS * DAY_MS
    fired = [
        a for a in inbox.open(rule=found.id, work=tuple(Work), with_children=True, limit=5000)
        if a.start_ms >= since_ms
    ]  # fmt: skip
    targets = found.targets(asked.site)
    return {
        "rule": found,
        "selector": list(_selector(asked, found)),
        "parameters": [_parameter(k, v) for k, v in found.parameters.items()],
        "targets": targets,
        "names": {m.id: m.name for m in asked.site.meters},
        "learned": learned_rows(asked, found),
        "learned_names": labels.LEARNED,
        "rate": inbox.false_alarm_rate(since_ms).get(found.id, Rate(found.id, 0, 0, 0)),
        "total": total_of(fired),
        "alerts": rows_of(asked, fired[:SHOWN]),
        "days": HISTORY_DAYS,
        "whitelist": [_expected(asked, e, now_ms) for e in inbox.allowed(found.id)],
        "reasons": WHITELIST_REASONS,
        "said": "",
        "is_done": True,
    }


def learned_rows(asked: Analysis, found: Rule) -> list[dict[str, Any]]:
    """Give what stands of each meter and name: the pin, else the newest learned of the last days.

    What is learned by the hour of the day is one row, from its least to its most.
    """
    today = today_of(asked)
    first = (today - timedelta(days=LEARNED_DAYS)).isoformat()
    held: dict[tuple[str, str], LearnedRow] = {}
    for r in asked.works.state.learned.of_days(first, today.isoformat()):
        old = held.get((r.meter, r.name))
        if r.rule == found.id and (old is None or old.pinned_by is None or r.pinned_by):
            held[r.meter, r.name] = r
    single = [_learned(asked, r.name, [r]) for r in held.values() if not _is_hourly(r.name)]
    hourly: dict[tuple[str, str], list[LearnedRow]] = {}
    for r in held.values():
        if _is_hourly(r.name):
            hourly.setdefault((r.meter, r.name[:-4]), []).append(r)
    many = [_learned(asked, name, rows) for (_, name), rows in hourly.items()]
    return sorted(single + many, key=lambda r: (r["meter"], r["name"]))


def _is_hourly(name: str) -> bool:
    return name[-4:-2] == "_h" and name[-2:].isdigit()


def _learned(asked: Analysis, name: str, rows: list[LearnedRow]) -> dict[str, Any]:
    known = [r.value for r in rows if r.value is not None]
    usual = {
        "work": "工作日各小时",
        "off": "休息日各小时",
        "p99": "各小时 P99",
        "p50": "各小时中位",
    }
    label, unit = labels.LEARNED.get(name, (usual.get(name, name), ""))
    shown = "—"
    if known:
        shown = f"{min(known):,.2f}"
        shown += f" ～ {max(known):,.2f}" if len(rows) > 1 else ""
    one = rows[0]
    return {
        "meter": one.meter, "name": name, "label": label, "value": shown, "unit": unit,
        "day": max(r.day for r in rows), "is_single": len(rows) == 1, "pinned_by": one.pinned_by,
        "pinned": None if one.pinned_at is None else f"{local(one.pinned_at, asked):%Y-%m-%d}",
        "reason": one.reason,
    }  # fmt: skip


def _selector(asked: Analysis, found: Rule) -> Iterable[str]:
    """Say which meters a rule judges, in words."""
    s = found.selector
    yield f"{labels.CARRIERS[s.carrier]}表"
    if s.end_use:
        yield f"分项 {asked.works.factbook.end_use_name(s.end_use)}"
    role = getattr(s, "role", None)
    if role:
        yield labels.ROLES.get(role, str(role))
    if s.with_tags:
        yield f"只看：{_tags(s.with_tags)}"
    if s.without_tags:
        yield f"不含：{_tags(s.without_tags)}"


def _tags(tags: Iterable[str]) -> str:
    return "、".join(labels.TAGS.get(t, t) for t in sorted(tags))


def _parameter(name: str, value: float) -> dict[str, str]:
    """Give a threshold as a person reads it: 0.2 as 20 %, minute 1350 as 22:30."""
    label, unit = labels.PARAMETERS.get(name, (name, ""))
    if name.endswith("_minute"):
        shown = f"{int(value) // 60:02d}:{int(value) % 60:02d}"
    elif unit == "%":
        shown = f"{value * 100:g}%"
    elif unit == "是否":
        shown = "是" if value else "否"
    else:
        shown = f"{value:g} {'℃' if name.endswith('_c') else unit}".strip()
    return {"label": label, "name": name, "value": shown}


def _expected(asked: Analysis, e: WhitelistEntry, now_ms: int) -> dict[str, Any]:
    a, b = e.from_minute, e.to_minute
    days = (
        "每天" if len(e.weekdays) == 7 else "周" + "".join(labels.WEEKDAYS[d] for d in e.weekdays)
    )
    hours = "全天" if (a, b) == (0, 1440) else f"{_clock(a)}–{'次日' if b <= a else ''}{_clock(b)}"
    return {
        "it": e,
        "reason": WHITELIST_REASONS.get(e.reason, e.reason),
        "days": days,
        "hours": hours,
        "since": f"{local(e.from_ms, asked):%Y-%m-%d %H:%M}",
        "until": "长期" if e.until_ms is None else f"{local(e.until_ms, asked):%Y-%m-%d %H:%M}",
        "is_over": e.until_ms is not None and e.until_ms <= now_ms,
    }


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
