"""The console's routes: server-rendered pages that work without any outside network."""

from datetime import date
from importlib.resources import as_file, files
from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles

from server.access import Asked, Editing
from server.analysis.report import report_of
from server.report.html import render_fragment
from server.web import fleet, views
from server.web.alert_pages import router as alert_router
from server.web.books import books_page, entered
from server.web.render import page
from server.web.rule_pages import router as rule_router
from server.web.wall import router as wall_router

FIRST_YEAR, LAST_YEAR = 2000, 2100
router = APIRouter(include_in_schema=False)


@router.get("/")
def overview(asked: Asked) -> HTMLResponse:
    """Show the site today, this month, this year."""
    return page("overview", asked, **views.overview(asked))


@router.get("/buildings/{building}")
def building(building: str, asked: Asked) -> HTMLResponse:
    """Show one building."""
    if building not in {b.id for b in asked.site.buildings}:
        raise HTTPException(404, f"没有这栋建筑 / no such building: {building}")
    return page("building", asked, **views.building_page(asked, building))


@router.get("/meters")
def meters(asked: Asked) -> HTMLResponse:
    """Show every meter and its last reading."""
    return page("meters", asked, groups=views.meter_groups(asked), local=views.local, asked=asked)


@router.get("/report")
def report(asked: Asked, year: int = 0) -> HTMLResponse:
    """Show the year's energy section as it stands."""
    shown = year or views.today_of(asked).year
    if not FIRST_YEAR <= shown <= LAST_YEAR:
        raise HTTPException(422, f"expected a year from {FIRST_YEAR} to {LAST_YEAR}, got {year}")
    found = report_of(asked, shown)
    fragment = render_fragment(found)
    return page("report", asked, report=found, fragment=fragment, year=shown)


@router.get("/books")
def books(asked: Asked) -> HTMLResponse:
    """Show repairs, changes, closed periods and corrections; offer forms to enter and undo."""
    return page("books", asked, **books_page(asked))


@router.post("/books")
async def enter(request: Request, editing: Editing) -> HTMLResponse:
    """Take a form: a repair entered or undone; show what became of it."""
    said, is_done = entered(editing, (await request.body()).decode("utf-8", "replace"))
    shown = {**books_page(editing.analysis), "said": said, "is_done": is_done}
    answer = page("books", editing.analysis, **shown)
    answer.status_code = 200 if is_done else 422
    return answer


@router.get("/agents")
def agents(asked: Asked) -> HTMLResponse:
    """Show every agent and what it needs."""
    return page("agents", asked, **fleet.agents_page(asked))


@router.get("/agents/{agent}")
def agent(agent: str, asked: Asked) -> HTMLResponse:
    """Show one agent and its configurations."""
    found = fleet.agent_page(asked, agent)
    if found is None:
        raise HTTPException(404, f"没有这个采集代理 / no such agent: {agent}")
    return page("agent", asked, **found)


@router.get("/delivery")
def delivery(
    asked: Asked, days: Annotated[int, Query(ge=1, le=fleet.MOST_DAYS)] = fleet.SHOWN_DAYS
) -> HTMLResponse:
    """Show what arrived of each agent and day."""
    return page("delivery", asked, **fleet.delivery_page(asked, days))


@router.get("/delivery/{agent}")
def ranges(agent: str, day: date, asked: Asked) -> HTMLResponse:
    """Show what is missing of an agent and day, and why."""
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise HTTPException(422, f"expected a day from {FIRST_YEAR} to {LAST_YEAR}, got {day}")
    found = fleet.ranges_page(asked, agent, day)
    if found is None:
        raise HTTPException(404, f"这个采集代理没有发来过回执 / never heard of: {agent}")
    return page("ranges", asked, **found)


@router.get("/static/plotly.min.js")
def plotly() -> Response:
    """Give the chart library that the plotly wheel ships."""
    with as_file(files("plotly") / "package_data" / "plotly.min.js") as path:
        headers = {"Cache-Control": "max-age=86400"}
        return FileResponse(path, media_type="text/javascript", headers=headers)


def mount_console(app: FastAPI, token: str) -> None:
    """Put the console onto the application."""
    app.state.console_token = token
    app.include_router(router)
    for part in (alert_router, rule_router, wall_router):
        app.include_router(part)
    folder = str(files("server.web") / "static")
    app.mount("/static", StaticFiles(directory=folder), name="static")
