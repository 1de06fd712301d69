"""The console's routes of alerts: inbox, one alert, its work order, rules, the wall."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from server.access import Asked, Editing
from server.analysis import Analysis
from server.state import AlertRow
from server.web.acting import acted
from server.web.evidence import alert_page
from server.web.inbox import SORTS, VIEWS, Wanted, inbox_page
from server.web.render import page

router = APIRouter(include_in_schema=False)
PageNumber = Annotated[int, Query(alias="page", ge=1, le=100_000)]
REFUSED = 422


def wanted(
    view: str = "todo", rule: str = "", building: str = "", severity: str = "", person: str = "",
    sort: str = "cost", number: PageNumber = 1,
) -> Wanted:  # fmt: skip
    """Give what is asked for; a view or an order that is none is the usual one."""
    view, sort = view if view in VIEWS else "todo", sort if sort in SORTS else "cost"
    return Wanted(view, rule, building, severity, person, sort, number)


Asking = Annotated[Wanted, Depends(wanted)]


async def body(request: Request) -> str:
    """Give a form as it was sent."""
    return (await request.body()).decode("utf-8", "replace")


Sent = Annotated[str, Depends(body)]


def answer(
    name: str, asked: Analysis, shown: dict[str, Any], said: str, *, is_done: bool
) -> HTMLResponse:
    """Give a page that says what became of a form."""
    out = page(name, asked, **{**shown, "said": said, "is_done": is_done})
    out.status_code = 200 if is_done else REFUSED
    return out


@router.get("/alerts")
def inbox(asked: Asked, asking: Asking) -> HTMLResponse:
    """Show the inbox, dearest first."""
    return page("alerts", asked, **inbox_page(asked, asking))


@router.post("/alerts")
def act_on_many(sent: Sent, editing: Editing, asking: Asking) -> HTMLResponse:
    """Act on the ticked alerts; show the inbox and what became of it."""
    said, is_done = acted(editing, sent)
    shown = inbox_page(editing.analysis, asking)
    return answer("alerts", editing.analysis, shown, said, is_done=is_done)


def known(asked: Analysis, number: int) -> AlertRow:
    """Give an alert; 404 when there is none."""
    row = asked.works.state.inbox.get(number) if number < 2**31 else None
    if row is None:
        raise HTTPException(404, f"没有这条告警 / no such alert: {number}")
    return row


@router.get("/alerts/{number}")
def alert(number: int, asked: Asked) -> HTMLResponse:
    """Show one alert with its evidence, its timeline and what may be done."""
    return page("alert", asked, **alert_page(asked, known(asked, number)))


@router.post("/alerts/{number}")
def act_on_one(number: int, sent: Sent, editing: Editing) -> HTMLResponse:
    """Act on one alert; show it and what became of it."""
    known(editing.analysis, number)
    said, is_done = acted(editing, f"alert={number}&{sent}")
    shown = alert_page(editing.analysis, known(editing.analysis, number))
    return answer("alert", editing.analysis, shown, said, is_done=is_done)


@router.get("/alerts/{number}/order")
def order(number: int, asked: Asked) -> HTMLResponse:
    """Show an alert's work order, to be printed on A4."""
    return page("order", asked, **alert_page(asked, known(asked, number)))
