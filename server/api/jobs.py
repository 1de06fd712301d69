"""POST /api/v1/jobs/backfill: recompute rollups and judge a span, where the store is open."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from contract.clock import Clock
from server.access import is_token
from server.analysis import Analysis
from server.jobs.judging import judge_all
from server.jobs.rolling import roll_up
from server.periods import Interval

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs 作业"])


class BackfillRequest(BaseModel):
    """The span to recompute, epoch ms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start_ms: int = Field(ge=0, examples=[1767225600000])
    end_ms: int = Field(gt=0, examples=[1769904000000])


@router.post("/backfill", summary="补算 / recompute rollups and judge a span")
def backfill(
    span: BackfillRequest, request: Request, authorization: Annotated[str, Header()] = ""
) -> dict[str, Any]:
    """Recompute; give how many interval values were written and how many alerts are new."""
    if not is_token(authorization, request.app.state.write_tokens):
        raise HTTPException(401, "expected Authorization: Token <write token>")
    if span.end_ms <= span.start_ms:
        raise HTTPException(422, "expected start_ms < end_ms")
    analysis: Analysis = request.app.state.analysis
    clock: Clock = analysis.clock
    interval = Interval(span.start_ms, span.end_ms)
    values = roll_up(analysis.works, interval, analysis.clock.now_ms()).values
    new = judge_all(analysis.works, interval, clock.now_ms())
    analysis.forget()
    return {"interval_values": values, "new_alerts": new}
