"""The books over HTTP: repairs, changes, periods, corrections, balance, events."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from server.access import Asked, Editing
from server.jobs.entries import faults_of, fixed_before
from server.jobs.periods import balance_of, close_period, obstacles, period_interval
from server.jobs.reviews import doubts_of_bills
from server.jobs.tracks import real_meters
from server.periods import Interval
from server.state.books import NewRepair, RepairKind

router = APIRouter(prefix="/api/v1", tags=["books 数据与结账"])
From = Annotated[int, Query(alias="from", description="epoch ms, inclusive")]
To = Annotated[int, Query(description="epoch ms, exclusive")]
MAX_REPAIR_MS = 400 * 86_400_000


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RepairRequest(_Body):
    """A repair; `readings` for readings by hand, `quantity` (as text) and `yuan` for a bill."""

    kind: RepairKind
    meter: str
    start_ms: int = Field(ge=0, examples=[1772380800000])
    end_ms: int = Field(gt=0, examples=[1772384400000])
    readings: list[tuple[int, float]] = []
    quantity: str | None = Field(default=None, pattern=r"^\d+(\.\d+)?$")
    yuan: str | None = Field(default=None, pattern=r"^\d+(\.\d+)?$")
    intervals: list[tuple[int, int, str]] = []
    reason: str = Field(min_length=1, max_length=300)
    author: str = Field(min_length=1, max_length=64)
    accept: bool = Field(default=False, description="enter in spite of doubts")


class SignedRequest(_Body):
    """Who acts, and why."""

    reason: str = Field(min_length=1, max_length=300)
    author: str = Field(min_length=1, max_length=64)
    accept: bool = False


@router.get("/repairs", summary="修补记录 / repairs")
def get_repairs(asked: Asked) -> list[dict[str, Any]]:
    """Give every repair, undone ones too."""
    return [asdict(r) for r in asked.works.state.books.repairs(standing=False)]


@router.post("/repairs", status_code=201, summary="登记修补 / enter a repair")
def post_repair(repair: RepairRequest, editing: Editing) -> dict[str, Any]:
    """Enter a repair; what it concerns is computed again within a minute.  409: it is doubted."""
    asked = editing.analysis
    if repair.meter not in {m.id for m in real_meters(asked.site)}:
        raise HTTPException(422, f"meter: expected a real or billed meter, got {repair.meter}")
    if not repair.start_ms < repair.end_ms <= repair.start_ms + MAX_REPAIR_MS:
        raise HTTPException(422, "end_ms: expected after start_ms, at most 400 days")
    content = _content(repair)
    new = NewRepair(
        repair.kind, repair.meter, repair.start_ms, repair.end_ms, content, repair.reason,
        repair.author,
    )  # fmt: skip
    books, now_ms = asked.works.state.books, asked.clock.now_ms()
    fixed_ms = fixed_before(asked.works.state, asked.site.meter(new.meter))
    faults = list(faults_of(new, now_ms, fixed_ms))
    if faults:
        raise HTTPException(422, "; ".join(faults))
    doubts = doubts_of_bills(asked.site, books.repairs(), [new])
    if doubts and not repair.accept:
        raise HTTPException(409, "; ".join(f"{d.subject}: {d.text}" for d in doubts))
    (number,) = books.enter([new], now_ms)
    asked.forget()
    return {"id": number}


def _content(repair: RepairRequest) -> dict[str, Any]:
    given = {
        "readings": [list(r) for r in repair.readings],
        "quantity": repair.quantity,
        "yuan": repair.yuan,
        "intervals": [list(i) for i in repair.intervals],
    }
    wanted = {
        RepairKind.EXCLUDE: set(), RepairKind.REPLACE: {"readings"},
        RepairKind.READING: {"readings"}, RepairKind.BILL: {"quantity"},
        RepairKind.CURVE: {"intervals"},
    }[repair.kind]  # fmt: skip
    content = {k: v for k, v in given.items() if v}
    missing = wanted - content.keys()
    extra = content.keys() - wanted - {"yuan"}
    if missing or extra:
        got = ", ".join(sorted(content)) or "nothing"
        expected = ", ".join(sorted(wanted)) or "no content"
        raise HTTPException(422, f"{repair.kind}: expected {expected}, got {got}")
    return content


@router.post("/repairs/{number}/undo", summary="撤销修补 / take a repair back")
def undo(number: int, signed: SignedRequest, editing: Editing) -> dict[str, Any]:
    """Take a repair back."""
    books, clock = editing.analysis.works.state.books, editing.analysis.clock
    if books.undo(number, signed.author, signed.reason, clock.now_ms()) is None:
        raise HTTPException(404, f"expected a repair that stands, got {number}")
    editing.analysis.forget()
    return {"undone": number}


@router.get("/changes", summary="历史变动 / values of the past that moved")
def get_changes(asked: Asked, start: From = 0, to: To = 2**53) -> list[dict[str, Any]]:
    """Give change notes that touch a span, newest first."""
    return [asdict(n) for n in asked.works.state.books.notes(start, to)]


@router.get("/events", summary="读数中遇到的事 / what was met in the readings")
def get_events(asked: Asked, start: From, to: To) -> list[dict[str, Any]]:
    """Give counter events that touch a span."""
    meters = [m.id for m in asked.site.meters]
    return [asdict(e) for e in asked.works.state.books.events(meters, start, to)]


@router.get("/balance", summary="总分表平衡 / main meters against sub meters")
def get_balance(asked: Asked, start: From, to: To) -> list[dict[str, Any]]:
    """Give the balance of every fully sub-metered main."""
    if not 0 <= start < to:
        raise HTTPException(422, "expected from < to")
    rows = balance_of(asked.works, Interval(start, to))
    return [{**asdict(r), "is_broken": r.is_broken} for r in rows]


@router.get("/periods", summary="已结账期间 / closed periods")
def get_periods(asked: Asked) -> list[dict[str, Any]]:
    """Give the newest revision of every closed period."""
    return [asdict(p) for p in asked.works.state.books.periods()]


@router.get("/corrections", summary="更正 / figures of closed periods that moved")
def get_corrections(asked: Asked) -> list[dict[str, Any]]:
    """Give corrections, open and taken over."""
    return [asdict(c) for c in asked.works.state.books.corrections()]


@router.post("/periods/{label}/close", summary="结账 / close a month or a year")
def post_close(label: str, signed: SignedRequest, editing: Editing) -> dict[str, Any]:
    """Close a period; 409 names what stands against it."""
    works, now_ms = editing.analysis.works, editing.analysis.clock.now_ms()
    span = period_interval(label, works)
    if span is None:
        raise HTTPException(422, f"expected a label such as 2026-03 or 2026, got {label}")
    found = obstacles(works, label, span, now_ms)
    if found and (not signed.accept or any(o.subject == label for o in found)):
        raise HTTPException(409, "; ".join(f"{o.subject}: {o.text}" for o in found))
    closed = close_period(works, label, span, signed.author, signed.reason, now_ms)
    return {"label": closed.label, "revision": closed.revision}
