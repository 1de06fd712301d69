"""notify: check the channels, try them, see what is on its way."""

import argparse
from datetime import datetime
from typing import Any

from contract.clock import SystemClock
from server.cli.shared import EXIT_FAILED, add_command, add_config, message, show
from server.config import load_config
from server.jobs.delivering import send_test
from server.jobs.telling import Composed
from server.jobs.works import Desk
from server.messages import say
from server.notify.file import load_notify
from server.notify.texts import plain
from server.rules.load import load_rules
from server.site.file import load_site
from server.state import open_state


def add_notify(commands: Any) -> None:
    """Add the commands; they work beside a running server."""
    group = commands.add_parser(
        "notify", help="通知 / notices", description="通知 / notices",
        epilog="例 example: compound-server notify check --config server.yaml",
    )  # fmt: skip
    subs = group.add_subparsers(required=True, metavar="COMMAND")
    for name, text, run in (
        ("check", "检查 notify.yaml / check the file", _check),
        ("test", "向每个渠道发一条测试消息 / send a test through every channel", _test),
        ("preview", "显示此刻的简报，不发送 / print the brief as it would be sent now", _preview),
        ("status", "消息的去向 / where messages are", _status),
        ("retry", "重发被拒的消息 / try refused messages again", _retry),
    ):
        add_config(add_command(subs, name, text, f"notify {name} --config server.yaml", run))


def _check(args: argparse.Namespace) -> int:
    plan = load_notify(load_config(args.config).notify_file)
    message("notify_plan_good", channels=len(plan.channels), groups=len(plan.groups))
    return 0


def _test(args: argparse.Namespace) -> int:
    plan = load_notify(load_config(args.config).notify_file)
    words = plain(say("notify_test"))
    failed = 0
    for channel, error in send_test(plan, SystemClock(), (words.title, words.body)).items():
        failed += bool(error)
        message("notify_failed" if error else "notify_took", channel=channel, error=error)
    return EXIT_FAILED if failed else 0


def _preview(args: argparse.Namespace) -> int:
    config = load_config(args.config)
    plan, site = load_notify(config.notify_file), load_site(config.site_file)
    state, now_ms = open_state(config.state_url), SystemClock().now_ms()
    at = datetime.fromtimestamp(now_ms / 1000, site.zone)
    composed = Composed(Desk(state, site, load_rules()), plan, now_ms)
    rows = [(m.channel, f"{m.title}\n{m.body}") for m in composed.briefs("preview", "简报", at)]
    state.close()
    show("", "渠道 channel|消息 message", rows)
    return 0


def _status(args: argparse.Namespace) -> int:
    config = load_config(args.config)
    plan, zone = load_notify(config.notify_file), load_site(config.site_file).zone
    state, now_ms = open_state(config.state_url), SystemClock().now_ms()

    def at(ms: int) -> str:
        return f"{datetime.fromtimestamp(ms / 1000, zone):%m-%d %H:%M:%S}"

    rows = [
        (str(m.id), m.channel, m.kind, m.state, str(m.attempts), at(m.due_ms), m.title, m.error)
        for m in state.outbound.messages()
    ]
    counts = "，".join(f"{k} {n}" for k, n in sorted(state.outbound.counts().items())) or "0"
    show(say("notify_title", counts=counts), say("notify_columns"), rows)
    for channel in plan.channels:
        until_ms = state.outbound.blocked_until(channel.name)
        if until_ms > now_ms:
            message("notify_blocked", channel=channel.name, until=at(until_ms))
    state.close()
    return 0


def _retry(args: argparse.Namespace) -> int:
    state = open_state(load_config(args.config).state_url)
    message("notify_retried", count=state.outbound.retry_refused(SystemClock().now_ms()))
    state.close()
    return 0
