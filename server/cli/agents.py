"""agents: how they are, and the configurations meant for them."""

import argparse
import difflib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contract.clock import SystemClock
from contract.errors import ConfigError, Problem
from server.analysis import Analysis
from server.analysis.agents import agent_rows
from server.app import open_works
from server.cli.delivery import UNKNOWN, local
from server.cli.shared import (
    EXIT_FAILED,
    add_author,
    add_command,
    add_config,
    ask,
    close,
    message,
    show,
)
from server.config import load_config
from server.fleet import AgentDocument, checked_document, config_hash
from server.messages import say
from server.site.file import load_site
from server.site.model import Site
from server.state import State, open_state
from server.state.fleet import AgentConfigRow


def add_agents(commands: Any) -> None:
    """Add the commands."""
    agents = add_command(
        commands, "agents", "采集代理：状态与配置 / agents, how they are, their configurations",
        "agents --config server.yaml", _list,
    )  # fmt: skip
    agents.add_argument("--config", type=Path, metavar="server.yaml")
    agents.add_argument("--json", action="store_true")
    agents.add_argument("--server", metavar="URL", help="ask a running server instead")
    groups = agents.add_subparsers(metavar="COMMAND")
    group = groups.add_parser(
        "config", help="下发配置 / configurations for agents",
        description="下发配置 / configurations for agents",
        epilog="例 example: compound-server agents config history zhengfu --config server.yaml",
    )  # fmt: skip
    inner = group.add_subparsers(required=True, metavar="COMMAND")
    push = add_command(
        inner, "push", "签发一个代理的配置 / sign a configuration and offer it to an agent",
        "agents config push zhengfu agent.yaml --key officer.key --config server.yaml"
        " --reason 新增三块表", _push,
    )  # fmt: skip
    push.add_argument("agent")
    push.add_argument("file", type=Path, help="the agent's agent.yaml")
    push.add_argument("--key", type=Path, required=True, help="经办人的私钥，0600")
    add_author(push)
    see = add_command(
        inner, "show", "显示下发的配置 / print a configuration",
        "agents config show zhengfu --config server.yaml", _show,
    )  # fmt: skip
    see.add_argument("agent")
    see.add_argument("--serial", type=int, help="默认最新 / default: the newest")
    diff = add_command(
        inner, "diff", "与文件比较 / compare with a file; 0 the same, 1 not",
        "agents config diff zhengfu agent.yaml --config server.yaml", _diff,
    )  # fmt: skip
    diff.add_argument("agent")
    diff.add_argument("file", type=Path)
    cancel = add_command(
        inner, "cancel", "撤回未取走的配置 / withdraw the newest configuration",
        "agents config cancel zhengfu --config server.yaml --reason 误发", _cancel,
    )  # fmt: skip
    cancel.add_argument("agent")
    add_author(cancel)
    history = add_command(
        inner, "history", "签发与执行记录 / what was issued and what became of it",
        "agents config history zhengfu --config server.yaml", _history,
    )  # fmt: skip
    history.add_argument("agent")
    for sub in (push, see, diff, cancel, history):
        add_config(sub)
    keygen = add_command(
        inner, "keygen", "生成签名密钥 / make a signing key",
        "agents config keygen --out officer.key", _keygen,
    )  # fmt: skip
    keygen.add_argument("--out", type=Path, required=True, help="a new file; never overwritten")


def _list(args: argparse.Namespace) -> int:
    if args.config is None:
        fix = "add --config server.yaml"
        raise ConfigError([Problem("command line", "--config", "a server.yaml", "none", fix)])
    config = load_config(args.config)
    site = load_site(config.site_file)
    if args.server:
        found = ask(args.server, "/api/v1/agents", config, {})
        if found is None:
            return EXIT_FAILED
    else:
        works = open_works(config)
        try:
            found = [asdict(r) for r in agent_rows(Analysis(works, SystemClock()))]
        finally:
            close(works)
    if args.json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    elif found:
        rows = [agent_texts(r, site) for r in found]
        show(say("agents_title"), say("agents_columns"), rows)
    else:
        message("agents_none")
    return 0


def agent_texts(r: dict[str, Any], site: Site) -> tuple[str, ...]:
    """Give an agent, as the API words it, as texts; what is not known is a dash."""
    parcels, hours = _number(r["backlog_parcels"], ",.0f"), _number(r["backlog_h"], ".1f")
    size = UNKNOWN if r["backlog_bytes"] is None else f"{r['backlog_bytes'] / 1e6:,.1f}"
    backlog = f"{parcels} 批 {size} MB {hours} h"
    if r["backlog_parcels"] is None and r["backlog_bytes"] is None and not r["backlog_h"]:
        backlog = UNKNOWN
    known = {None: UNKNOWN, True: "已校准", False: "未校准"}[r["clock_known"]]
    buses = [f"{b['name']} {_STALLED[b['stalled']]}" for b in r["buses"]]
    return (
        r["agent"],
        "、".join(say(f"state_{s}") for s in r["states"]),
        r["version"] or UNKNOWN,
        local(r["seen_ms"], site),
        backlog,
        known if r["clock_offset_s"] is None else f"{known} {r['clock_offset_s']:+.1f} s",
        _config_text(r),
        {None: UNKNOWN, True: "内存 RAM", False: "磁盘"}[r["in_ram"]],
        _number(r["flash_mb_per_day"], ",.0f"),
        _number(r["cpu_temperature_c"], ".0f"),
        {None: UNKNOWN, "no": "正常", "was": "曾欠压", "is": "欠压"}[r["undervoltage"]],
        "，".join(buses) or UNKNOWN,
    )


_STALLED = {None: "?", True: "停滞", False: "正常"}


def _config_text(r: dict[str, Any]) -> str:
    has = UNKNOWN if r["config_hash"] is None else r["config_hash"]
    serial = "" if r["config_serial"] is None else f" #{r['config_serial']}"
    if r["wanted_serial"] is None:
        return f"{has}{serial}"
    state = say(f"config_{r['config_state']}") if r["config_state"] else "待取"
    return f"{has}{serial} → #{r['wanted_serial']} {state}"


def _number(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else format(value, form)


@contextmanager
def _state(args: argparse.Namespace) -> Iterator[tuple[Site, State]]:
    config = load_config(args.config)
    site, state = load_site(config.site_file), open_state(config.state_url)
    try:
        yield site, state
    finally:
        state.close()


def _push(args: argparse.Namespace) -> int:
    from server.fleet.signing import load_key, signature_of

    text, key = checked_document(args.file, args.agent), load_key(args.key)
    with _state(args) as (_, state):
        current = state.fleet.current_config(args.agent)
        if current is not None and current.config == text:
            message("config_same", agent=args.agent, serial=current.serial)
            return 0
        serial = state.fleet.next_serial(args.agent)
        new = AgentDocument(args.agent, serial, SystemClock().now_ms(), text)
        signature = signature_of(key, new.signed_content())
        row = AgentConfigRow(
            new.agent, serial, new.issued_ms, text, signature, args.author, args.reason
        )
        if not state.fleet.add_config(row):
            message("config_raced", agent=args.agent)
            return EXIT_FAILED
    message("config_pushed", agent=args.agent, serial=serial, hash=config_hash(text))
    return 0


def _one(state: State, agent: str, serial: int | None) -> AgentConfigRow:
    """Give a configuration, the newest by default; ConfigError when there is none."""
    found = [c for c in state.fleet.configs(agent) if serial in {None, c.serial}]
    if not found:
        got = agent if serial is None else f"{agent} #{serial}"
        fix = "look at agents config history"
        expected = "an agent that was given a configuration"
        raise ConfigError([Problem("command line", "agent", expected, got, fix)])
    return found[-1]


def _show(args: argparse.Namespace) -> int:
    with _state(args) as (site, state):
        row = _one(state, args.agent, args.serial)
    gone = say("config_withdrawn") if row.cancelled_ms is not None else ""
    message(
        "config_header", agent=row.agent, serial=row.serial, at=local(row.issued_ms, site),
        author=row.author, reason=row.reason, hash=config_hash(row.config), cancelled=gone,
    )  # fmt: skip
    sys.stdout.write(row.config)
    return 0


def _diff(args: argparse.Namespace) -> int:
    text = checked_document(args.file, args.agent)
    with _state(args) as (_, state):
        row = _one(state, args.agent, None)
    lines = difflib.unified_diff(
        row.config.splitlines(), text.splitlines(), f"{row.agent} #{row.serial}", str(args.file),
        lineterm="",
    )  # fmt: skip
    changed = list(lines)
    if not changed:
        message("config_unchanged")
        return 0
    sys.stdout.write("\n".join(changed) + "\n")
    return EXIT_FAILED


def _cancel(args: argparse.Namespace) -> int:
    with _state(args) as (_, state):
        now_ms = SystemClock().now_ms()
        serial = state.fleet.cancel_config(args.agent, args.author, args.reason, now_ms)
    if serial is None:
        message("config_none", agent=args.agent)
        return EXIT_FAILED
    message("config_cancelled", agent=args.agent, serial=serial)
    return 0


def _history(args: argparse.Namespace) -> int:
    with _state(args) as (site, state):
        events = []
        for c in state.fleet.configs(args.agent):
            made = config_hash(c.config)
            what = say("config_issued")
            events.append((c.issued_ms, c.serial, what, made, c.author, c.reason))
            if c.cancelled_ms is not None:
                what = say("config_cancelled_short")
                events.append((c.cancelled_ms, c.serial, what, made, UNKNOWN, ""))
        for s in state.fleet.config_states(args.agent):
            what = say(f"config_{s.state}")
            events.append((s.at_ms, s.serial, what, s.config_hash, args.agent, s.detail))
    rows = [(str(n), local(at, site), *rest) for at, n, *rest in sorted(events)]
    show(say("history_title", agent=args.agent), say("history_columns"), rows)
    return 0


def _keygen(args: argparse.Namespace) -> int:
    from server.fleet.signing import make_key

    public = make_key(args.out)
    message("key_made", path=args.out, public=public)
    return 0
