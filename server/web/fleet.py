"""The pages of the fleet: agents, and what of their readings arrived."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from server.analysis import Analysis
from server.analysis.agents import AgentRow, agent_rows
from server.analysis.delivery import day_marks, proofs
from server.delivery import Finding, Proof, Why
from server.fleet import config_hash
from server.messages import say
from server.periods import Interval, day_interval, day_of, midnight_ms
from server.web.books import at_text

SHOWN_DAYS, MOST_DAYS = 14, 62
SHOWN_FINDINGS = 500
TAGS = {
    None: "resolved", Why.PENDING: "soft", Why.QUEUED: "firing", Why.QUARANTINED: "firing",
    Why.DROPPED: "bad", Why.UNKNOWN: "bad",
}  # fmt: skip
GRAVE = frozenset({"never_seen", "offline", "lost", "dropped", "in_ram", "stalled"})
DASH = "—"


def agents_page(asked: Analysis) -> dict[str, Any]:
    """Give the page of all agents."""
    return {"rows": [_shown(r, asked) for r in agent_rows(asked)]}


def agent_page(asked: Analysis, agent: str) -> dict[str, Any] | None:
    """Give one agent's page: what it says, and what became of its configurations; None: none."""
    row = next((r for r in agent_rows(asked) if r.agent == agent), None)
    if row is None:
        return None
    fleet, zone = asked.works.state.fleet, asked.site.zone
    said = [
        {
            "serial": s.serial, "at": at_text(s.at_ms, zone), "state": say(f"config_{s.state}"),
            "hash": s.config_hash or DASH, "detail": s.detail,
        }
        for s in reversed(fleet.config_states(agent))
    ]  # fmt: skip
    configs = [
        {
            "serial": c.serial, "at": at_text(c.issued_ms, zone), "hash": config_hash(c.config),
            "author": c.author, "reason": c.reason, "cancelled": c.cancelled_ms is not None,
        }
        for c in reversed(fleet.configs(agent))
    ]  # fmt: skip
    return {"row": _shown(row, asked), "said": said, "configs": configs}


def delivery_page(asked: Analysis, days: int) -> dict[str, Any]:
    """Give the page of the last days: what arrived of each agent and day."""
    zone, today = asked.site.zone, day_of(asked.clock.now_ms(), asked.site.zone)
    shown = [today - timedelta(days=i) for i in range(days)]
    span = Interval(midnight_ms(shown[-1], zone), day_interval(today, zone).end_ms)
    marks = day_marks(asked, span)
    return {
        "days": shown,
        "agents": {
            agent: [
                {
                    "day": day, "parcels": m.parcels, "readings": m.readings,
                    "tag": TAGS[m.worst] if m.is_reached or m.worst else "none",
                    "text": _verdict(m.worst) if m.is_reached or m.worst else "无数据",
                }
                for day, m in zip(shown, reversed(found), strict=True)
            ]
            for agent, found in marks.items()
        },
        "count": days,
    }  # fmt: skip


def ranges_page(asked: Analysis, agent: str, day: date) -> dict[str, Any] | None:
    """Give the ranges of an agent that concern a day; None: it was never heard of."""
    found = proofs(asked, day_interval(day, asked.site.zone), agent)
    return None if not found else {"day": day, "agent": agent, **_proof(found[0], asked)}


def _proof(proof: Proof, asked: Analysis) -> dict[str, Any]:
    return {
        "proof": proof,
        "verdict": _verdict(proof.worst),
        "tag": TAGS[proof.worst],
        "findings": [_finding(f, asked) for f in proof.findings[:SHOWN_FINDINGS]],
        "more": max(0, len(proof.findings) - SHOWN_FINDINGS),
    }


def _finding(f: Finding, asked: Analysis) -> Mapping[str, Any]:
    zone = asked.site.zone
    return {
        **asdict(f), "why": say(f"why_{f.why}"), "tag": TAGS[f.why],
        "start": at_text(f.start_ms, zone), "end": at_text(f.end_ms, zone),
    }  # fmt: skip


def _verdict(worst: Why | None) -> str:
    return "完整" if worst is None else say(f"why_{worst}")


def _shown(r: AgentRow, asked: Analysis) -> dict[str, Any]:
    states = [
        {
            "text": say(f"state_{s}"),
            "tag": "resolved" if s == "fine" else "bad" if s in GRAVE else "firing",
        }
        for s in r.states
    ]
    seen = DASH if r.seen_ms is None else at_text(r.seen_ms, asked.site.zone)
    state = say(f"config_{r.config_state}") if r.config_state else "待取"
    return {
        "it": r, "states": states, "seen": seen, "config_state": state,
        "backlog": _backlog(r), "clock": _clock(r),
    }  # fmt: skip


def _backlog(r: AgentRow) -> str:
    parcels = DASH if r.backlog_parcels is None else f"{r.backlog_parcels:,}"
    size = DASH if r.backlog_bytes is None else f"{r.backlog_bytes / 1e6:,.1f}"
    if r.backlog_parcels is None and r.backlog_bytes is None and not r.backlog_h:
        return DASH
    hours = DASH if r.backlog_h is None else f"{r.backlog_h:,.1f}"
    return f"{parcels} 批 · {size} MB · {hours} 小时"


def _clock(r: AgentRow) -> str:
    known = {None: DASH, True: "已校准", False: "未校准"}[r.clock_known]
    return known if r.clock_offset_s is None else f"{known}，偏差 {r.clock_offset_s:+.1f} 秒"
