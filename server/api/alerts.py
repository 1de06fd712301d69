"""The life of alerts over HTTP: the inbox, one alert, actions, the whitelist, rates."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from contract.errors import ConfigError
from server.access import Asked, Editing
from server.jobs.whitelist import act_on
from server.state import AlertRow
from server.state.alerts import Action, WhitelistEntry
from server.state.life import WHITELIST_REASONS, actions_of

router = APIRouter(prefix="/api/v1", tags=["alerts 告警处理"])
Signed = Annotated[str, Field(min_length=1, max_length=64)]
MAX_BULK = 500


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ActionRequest(_Body):
    """`to` for assigned, `text` for noted, `until_ms` for muted, `reason` for the others."""

    alerts: list[int] = Field(min_length=1, max_length=MAX_BULK)
    action: Action
    author: Signed
    to: str | None = None
    text: str | None = None
    until_ms: int | None = None
    reason: str | None = None
    feeds_whitelist: bool = Field(
        default=True, description="a false alarm for a lasting reason is expected from now on"
    )


class WhitelistRequest(_Body):
    """Expected use: weekdays as ISO digits, minutes of the site's day; until_ms null: for good."""

    rule: str
    meter: str
    reason: str
    author: Signed
    from_ms: int | None = Field(default=None, description="default: now")
    until_ms: int | None = None
    weekdays: str = "1234567"
    from_minute: int = 0
    to_minute: int = 1440
    alert_id: int | None = None


class SignedRequest(_Body):
    """Who acts."""

    author: Signed


@router.get("/inbox", summary="待处理告警 / what people still work on")
def get_inbox(
    asked: Asked,
    rule: str | None = None,
    building: str | None = None,
    severity: str | None = None,
    by_cost: bool = False,
    with_children: bool = False,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> list[dict[str, Any]]:
    """Give the inbox, newest or dearest first."""
    rows = asked.works.state.inbox.open(
        rule=rule, building=building, severity=severity, by_cost=by_cost,
        with_children=with_children, limit=limit,
    )  # fmt: skip
    return [row_json(a) for a in rows]


@router.get("/alerts/{number}", summary="一条告警 / one alert with its timeline")
def get_alert(number: int, asked: Asked) -> dict[str, Any]:
    """Give an alert, its transitions, what stands behind it, and what closing it saved."""
    inbox = asked.works.state.inbox
    row = inbox.get(number)
    if row is None:
        raise HTTPException(404, f"expected a known alert, got {number}")
    return {
        **row_json(row),
        "transitions": [asdict(t) for t in inbox.transitions(number)],
        "children": [a.id for a in inbox.children(number)],
        "proofs": inbox.proofs(number),
    }


@router.post("/alerts/actions", summary="处理告警 / act on alerts")
def post_action(request: ActionRequest, editing: Editing) -> dict[str, Any]:
    """Act on each alert; 409 when none could be: what was refused is named, with the reason."""
    asked = editing.analysis
    given = request.model_dump(include={"to", "text", "until_ms", "reason"}, exclude_none=True)
    done: list[int] = []
    refused: dict[int, str] = {}
    for number in dict.fromkeys(request.alerts):
        now_ms = asked.clock.now_ms()
        try:
            act_on(
                asked.works.state.inbox, number, request.action, request.author, now_ms,
                asked.site.zone, feeds=request.feeds_whitelist, **given,
            )  # fmt: skip
        except ConfigError as error:
            refused[number] = str(error)
        else:
            done.append(number)
    if not done:
        raise HTTPException(409, "; ".join(refused.values()))
    return {"done": done, "refused": refused}


@router.get("/whitelist", summary="白名单 / expected use")
def get_whitelist(
    asked: Asked, rule: str | None = None, meter: str | None = None
) -> list[dict[str, Any]]:
    """Give whitelist entries, ended ones too, and the reasons there are."""
    return [
        {**asdict(e), "reason_text": WHITELIST_REASONS.get(e.reason, e.reason)}
        for e in asked.works.state.inbox.allowed(rule, meter)
    ]


@router.post("/whitelist", status_code=201, summary="登记白名单 / enter expected use")
def post_whitelist(request: WhitelistRequest, editing: Editing) -> dict[str, int]:
    """Enter expected use; 422 for a rule or meter that is none, and for hours that are none."""
    works, now_ms = editing.analysis.works, editing.analysis.clock.now_ms()
    if request.rule not in {r.id for r in works.rules}:
        raise HTTPException(422, f"rule: expected a rule, got {request.rule}")
    if request.meter not in {m.id for m in works.site.meters}:
        raise HTTPException(422, f"meter: expected a meter of the site, got {request.meter}")
    values = request.model_dump(exclude={"author", "from_ms"})
    begins = now_ms if request.from_ms is None else request.from_ms
    try:
        entry = WhitelistEntry(**values, from_ms=begins, by=request.author)
        return {"id": works.state.inbox.allow(entry, now_ms)}
    except ConfigError as error:
        raise HTTPException(422, str(error)) from error


@router.post("/whitelist/{number}/end", summary="终止白名单 / end expected use")
def end_whitelist(number: int, signed: SignedRequest, editing: Editing) -> dict[str, int]:
    """End an entry now; 404 when it is none that holds."""
    asked = editing.analysis
    if not asked.works.state.inbox.disallow(number, signed.author, asked.clock.now_ms()):
        raise HTTPException(404, f"expected an entry that holds, got {number}")
    return {"ended": number}


@router.get("/false-alarms", summary="误报率 / how often each rule was right")
def get_rates(
    asked: Asked, start: Annotated[int, Query(alias="from", ge=0)] = 0
) -> list[dict[str, Any]]:
    """Give fired, false alarms and withdrawn by rule; share null where nothing fired."""
    rates = asked.works.state.inbox.false_alarm_rate(start).values()
    return [{**asdict(r), "share": r.share} for r in rates]


def row_json(a: AlertRow) -> dict[str, Any]:
    """Give an alert with what may be done to it."""
    return {
        **asdict(a),
        "yuan": None if a.yuan is None else float(a.yuan),
        "phase": str(a.condition),
        "work": str(a.work),
        "order_number": a.order_number,
        "actions": [str(x) for x in actions_of(a.work)],
    }
