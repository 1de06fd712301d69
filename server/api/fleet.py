"""The fleet over HTTP: what agents did, and what is meant for them."""

import re
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from server.access import Asked, is_agent
from server.analysis import Analysis
from server.analysis.agents import AgentRow, agent_rows
from server.analysis.delivery import count_check, day_marks, delivery_json, proofs
from server.api.read import From, To, interval
from server.config import AGENT_NAME
from server.periods import DAY_MS
from server.state.fleet import LAST_SERIAL, ConfigState, ConfigStateRow

router = APIRouter(prefix="/api/v1", tags=["fleet 采集代理与送达"])
config_router = APIRouter(prefix="/api/v2/agents", tags=["fleet 采集代理与送达"])
MAX_COUNTED_MS = 62 * DAY_MS
KEPT_DETAIL = 2000
Agent = Annotated[str, Path(pattern=AGENT_NAME, max_length=64, examples=["zhengfu"])]


@router.get("/agents", summary="采集代理 / agents and how they are")
def get_agents(asked: Asked) -> list[dict[str, Any]]:
    """Give every agent that spoke or is configured; what is not known is null."""
    return [asdict(r) for r in agent_rows(asked)]


@router.get("/agents/{agent}", summary="一个采集代理 / one agent")
def get_agent(asked: Asked, agent: Agent) -> dict[str, Any]:
    """Give one agent with what it said of its configurations."""
    found: list[AgentRow] = [r for r in agent_rows(asked) if r.agent == agent]
    if not found:
        raise HTTPException(404, f"expected an agent of the site, got {agent}")
    said = asked.works.state.fleet.config_states(agent)
    return {**asdict(found[0]), "config_states": [asdict(s) for s in said]}


@router.get("/delivery/proof", summary="送达证明 / what is missing of a span, and why")
def get_proof(
    asked: Asked,
    start: From,
    to: To,
    agent: Annotated[str | None, Query(description="one agent only")] = None,
    count: Annotated[bool, Query(description="count the store's readings too")] = False,
    fresh: Annotated[bool, Query(description="from the receipts themselves")] = False,
) -> dict[str, Any]:
    """Give each agent's proof: complete, or every range that is missing with its reason."""
    span = interval(start, to)
    if count and to - start > MAX_COUNTED_MS:
        raise HTTPException(422, f"count: expected at most {MAX_COUNTED_MS // DAY_MS} days")
    found = proofs(asked, span, agent, fresh=fresh)
    if agent is not None and not found:
        raise HTTPException(404, f"expected an agent that has spoken, got {agent}")
    return delivery_json(found, count_check(asked, span) if count else None)


@router.get("/delivery/days", summary="逐日送达 / what arrived day by day")
def get_days(asked: Asked, start: From, to: To) -> dict[str, list[dict[str, Any]]]:
    """Give every agent's days of the site: parcels, readings, and the worst that is wrong."""
    found = day_marks(asked, interval(start, to))
    return {agent: [asdict(m) for m in marks] for agent, marks in found.items()}


def speaking(
    agent: Agent, request: Request, authorization: Annotated[str, Header()] = ""
) -> Analysis:
    """Give the analysis to the agent that the path names; 401 to everybody else."""
    if not is_agent(authorization, agent, request.app.state):
        raise HTTPException(401, "expected Authorization: Token <this agent's write token>")
    found: Analysis = request.app.state.analysis
    return found


Speaking = Annotated[Analysis, Depends(speaking)]


@config_router.get("/{agent}/config", summary="取配置 / the configuration meant for an agent")
def get_config(
    agent: Agent, heard: Speaking, if_none_match: Annotated[str, Header()] = ""
) -> Response:
    """Give the newest signed configuration; 304: the agent has it, 404: there is none.

    An agent that has more than this server knows of is given nothing older.
    """
    fleet = heard.works.state.fleet
    has = int(m[1]) if (m := re.fullmatch(r'"?(\d{1,15})"?', if_none_match.strip())) else 0
    current = fleet.current_config(agent)
    if has and (current is None or has > current.serial):
        fleet.note_heard(agent, has)
    if current is None:
        raise HTTPException(404, "no configuration is meant for this agent")
    headers = {"ETag": f'"{current.serial}"', "Cache-Control": "no-store"}
    if has >= current.serial:
        return Response(status_code=304, headers=headers)
    content = {
        "agent": current.agent, "serial": current.serial, "issued_at_ms": current.issued_ms,
        "config": current.config, "signature": current.signature,
    }  # fmt: skip
    return JSONResponse(content, headers=headers)


class StateRequest(BaseModel):
    """What became of a configuration at the agent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    serial: int = Field(ge=0, le=LAST_SERIAL, examples=[3])
    state: ConfigState
    detail: str = Field(default="", max_length=20_000)
    config_hash: str = Field(default="", pattern=r"^([0-9a-f]{12})?$")


@config_router.post(
    "/{agent}/config/state", status_code=204, summary="报配置状态 / what became of it"
)
def post_state(agent: Agent, heard: Speaking, said: StateRequest) -> Response:
    """Keep an agent's word on a configuration; said twice it counts once."""
    row = ConfigStateRow(
        agent, said.serial, said.state, heard.clock.now_ms(), said.detail[:KEPT_DETAIL],
        said.config_hash,
    )  # fmt: skip
    heard.works.state.fleet.note_state(row)
    return Response(status_code=204)
