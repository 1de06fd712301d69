"""delivery: the proof that nothing is missing, or what is, and why."""

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from contract.clock import SystemClock
from contract.errors import ConfigError, Problem
from server.analysis import Analysis
from server.analysis.delivery import count_check, delivery_json, proofs
from server.app import open_works
from server.cli.shared import (
    EXIT_FAILED,
    add_command,
    add_config,
    ask,
    close,
    message,
    show,
    span_of,
)
from server.config import load_config
from server.delivery import Why
from server.messages import say
from server.periods import Interval, day_of
from server.site.file import load_site
from server.site.model import Site

DAYS = 7
UNKNOWN = "—"


def add_delivery(commands: Any) -> None:
    """Add the command."""
    sub = add_command(
        commands, "delivery",
        "送达证明：完整，或缺哪些、为什么 / prove that nothing is missing, or say what is; 0 or 1",
        "delivery --config server.yaml --from 2026-03-01 --to 2026-04-01 --count", _delivery,
    )  # fmt: skip
    add_config(sub)
    sub.add_argument("--agent", help="只看一个采集代理 / one agent only")
    sub.add_argument(
        "--from", dest="start", type=datetime.fromisoformat, help="默认七天前 / default: a week ago"
    )
    sub.add_argument(
        "--to", dest="end", type=datetime.fromisoformat, help="默认现在 / default: now"
    )
    sub.add_argument(
        "--count", action="store_true",
        help="再核对库内读数条数 / count the store's readings too",
    )  # fmt: skip
    sub.add_argument(
        "--fresh", action="store_true",
        help="由回执重新计算，不用每日汇总 / from the receipts themselves",
    )  # fmt: skip
    sub.add_argument("--json", action="store_true")
    sub.add_argument("--server", metavar="URL", help="ask a running server instead")


def _delivery(args: argparse.Namespace) -> int:
    config = load_config(args.config)
    site = load_site(config.site_file)
    span = _span(args, site)
    if args.server:
        query: dict[str, str | int] = {
            "from": span.start_ms, "to": span.end_ms, "count": args.count, "fresh": args.fresh,
        }  # fmt: skip
        query |= {"agent": args.agent} if args.agent else {}
        answer = ask(args.server, "/api/v1/delivery/proof", config, query)
        if answer is None:
            return EXIT_FAILED
        found: dict[str, Any] = answer
    else:
        works = open_works(config)
        try:
            asked = Analysis(works, SystemClock())
            proved = proofs(asked, span, args.agent, fresh=args.fresh)
            found = delivery_json(proved, count_check(asked, span) if args.count else None)
        finally:
            close(works)
        if args.agent and not proved:
            fix = "look at compound-server agents"
            expected = "an agent that has spoken"
            raise ConfigError([Problem("command line", "--agent", expected, args.agent, fix)])
    if args.json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    else:
        tell_delivery(found, site, span)
    return 0 if found["is_complete"] else EXIT_FAILED


def tell_delivery(found: dict[str, Any], site: Site, span: Interval) -> None:
    """Print what was found, as the API words it."""
    if not found["agents"]:
        message("delivery_unheard")
        return
    title = say("delivery_title", start=local(span.start_ms, site), end=local(span.end_ms, site))
    show(title, say("delivery_columns"), [_agent_row(a, site) for a in found["agents"]])
    rows = [_finding_row(a["agent"], f, site) for a in found["agents"] for f in a["findings"]]
    if rows:
        show(say("findings_title"), say("findings_columns"), rows)
    count = found["count"]
    if count is not None:
        message("count_short" if count["lost"] else "count_good", **count)
    whole = all(a["is_complete"] for a in found["agents"])
    heard = any(a["parcels"] for a in found["agents"])
    message(f"delivery_{'not_all' if not whole else 'all_there' if heard else 'none_there'}")


def local(at_ms: int | None, site: Site, *, seconds: bool = False) -> str:
    """Give an instant in site time; a dash for none."""
    if at_ms is None:
        return UNKNOWN
    at = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(site.zone)
    return f"{at:%Y-%m-%d %H:%M:%S}" if seconds else f"{at:%Y-%m-%d %H:%M}"


def _agent_row(a: dict[str, Any], site: Site) -> tuple[str, ...]:
    least, most = a["readings_least"], a["readings_most"]
    return (
        a["agent"],
        say(f"delivery_{_verdict(a)}"),
        f"{a['parcels']:,}",
        f"{least:,}" if least == most else f"{least:,}–{most:,}",
        local(a["last_word_ms"], site),
        str(len(a["findings"])),
    )


def _verdict(a: dict[str, Any]) -> str:
    if not a["is_complete"]:
        return "incomplete"
    return "complete" if a["parcels"] else "nothing"


def _finding_row(agent: str, f: dict[str, Any], site: Site) -> tuple[str, ...]:
    last = " 起" if f["last"] is None else f"–{f['last']}" if f["last"] != f["first"] else ""
    return (
        agent,
        str(f["outbox_id"]),
        f"{f['first']}{last}",
        f"{say('why_' + f['why'])} {Why(f['why'])}",
        f"{local(f['start_ms'], site, seconds=True)} — {local(f['end_ms'], site, seconds=True)}",
        UNKNOWN if f["parcels"] is None else f"{f['parcels']:,}",
        UNKNOWN if f["amount"] is None else f"{f['amount']:,}",
    )


def _span(args: argparse.Namespace, site: Site) -> Interval:
    """Give --from and --to; by default the last week up to now."""
    now_ms = SystemClock().now_ms()
    is_open = args.end is None
    if is_open:
        tomorrow = day_of(now_ms, site.zone) + timedelta(days=1)
        args.end = datetime.fromisoformat(f"{tomorrow:%Y-%m-%d}")
    if args.start is None:
        args.start = args.end - timedelta(days=DAYS) if args.end.year > 1 else args.end
    span = span_of(args, site)
    return Interval(span.start_ms, max(now_ms, span.start_ms)) if is_open else span
