"""outbox: what waits to be sent, and the lines a server refused."""

import argparse
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from edge.agent import read_config
from edge.cli.shared import add_command, add_config, tell
from edge.messages import say
from edge.outbox import Entry, Quarantine
from edge.status import ask, socket_path

_ACTIONS = ("status", "list", "show", "retry", "discard")
_COUNTS = ("rounds", "bytes", "dropped", "dropped_readings", "quarantined")


def add_outbox(commands: Any) -> None:
    """Add the commands of this module."""
    text = "待发队列与隔离行 / what waits to be sent, and the lines a server refused"
    sub = add_command(commands, "outbox", text, "outbox list --config agent.yaml", _outbox)
    add_config(sub)
    what = "status 概况 | list 列出 | show 详看 | retry 重发 | discard 丢弃"
    sub.add_argument("action", nargs="?", choices=_ACTIONS, default="status", help=what)
    sub.add_argument("ids", nargs="*", type=int, metavar="ID", help="隔离行编号 / their numbers")
    sub.add_argument("--all", action="store_true", help="全部隔离行 / all of them")


def _outbox(args: argparse.Namespace) -> int:
    path = read_config(args.config).outbox.path
    kept, running = Quarantine(path), _running(socket_path(path))
    if running and running.get("outbox_in_ram"):
        tell("outbox_in_ram", why=running["outbox_in_ram"])
    try:
        if args.action == "status":
            return _status(kept, running)
        if args.action == "list":
            return _list(kept.entries())
        if not args.ids and not args.all:
            tell("outbox_which", action=args.action)
            return 2
        return _act(kept, args.action, [] if args.all else args.ids, running is not None)
    except sqlite3.Error as error:
        tell("outbox_unreadable", path=path, error=error)
        return 1


def _running(socket: Any) -> dict[str, Any] | None:
    try:
        return ask(socket)
    except OSError:
        return None


def _status(kept: Quarantine, running: dict[str, Any] | None) -> int:
    found = kept.waiting()
    if running is not None:  # it also knows what is settled but still in the file
        values = running["values"]
        found = {k.removeprefix("outbox_"): int(v) for k, v in values.items() if "outbox_" in k}
    Console(soft_wrap=True).print(
        say("outbox_status", **{name: found.get(name, 0) for name in _COUNTS}), markup=False
    )
    return 0


def _list(entries: Sequence[Entry]) -> int:
    console = Console()
    if not entries:
        console.print(say("outbox_no_refused"), markup=False)
        return 0
    table = Table(*say("outbox_columns").split("|"), title=say("outbox_refused"))
    for e in entries:
        again = say("outbox_asked_again") if e.is_asked_again else ""
        table.add_row(str(e.id), _time(e.at_ms), str(e.sequence), _short(e.line),
                      _short(e.reason), again)  # fmt: skip
    console.print(table)
    return 0


def _act(kept: Quarantine, action: str, ids: Sequence[int], is_running: bool) -> int:
    entries = kept.entries(ids)
    missing = sorted(set(ids) - {e.id for e in entries})
    if missing:
        tell("outbox_no_such", ids=", ".join(map(str, missing)))
        return 1
    if action == "show":
        for e in entries:
            told = {"id": e.id, "sequence": e.sequence, "time": _time(e.at_ms)}
            shown = say("outbox_entry", line=e.line, reason=e.reason, **told)
            Console(soft_wrap=True).print(shown, markup=False, highlight=False)
    elif action == "retry":
        kept.ask_again(entries)
        tell("outbox_retried_running" if is_running else "outbox_retried", lines=len(entries))
    else:
        kept.discard(entries)
        tell("outbox_discarded", lines=len(entries))
    return 0


def _time(at_ms: int) -> str:
    return (
        datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if at_ms else "—"
    )


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"
