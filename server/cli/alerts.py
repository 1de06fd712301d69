"""alerts: the inbox, one alert, acting on it, expected use, false-alarm rates."""

import argparse
import getpass
import json
from datetime import datetime
from typing import Any

from contract.clock import SystemClock
from contract.errors import ConfigError, Problem
from server.cli.shared import EXIT_FAILED, add_command, add_config, message, moment_ms, show
from server.config import load_config
from server.jobs.whitelist import act_on
from server.messages import say
from server.rules.load import load_rules
from server.site.file import load_site
from server.site.model import Site
from server.state import AlertRow, State, open_state
from server.state.alerts import ALL_DAYS, Action, WhitelistEntry
from server.state.life import FALSE_ALARM_REASONS, WHITELIST_REASONS


def add_alerts(commands: Any) -> None:
    """Add the commands; they work beside a running server."""
    group = commands.add_parser(
        "alerts", help="告警处理 / work on alerts", description="告警处理 / work on alerts",
        epilog="例 example: compound-server alerts list --config server.yaml",
    )  # fmt: skip
    subs = group.add_subparsers(required=True, metavar="COMMAND")
    listed = add_command(
        subs, "list", "待处理告警 / the inbox", "alerts list --config server.yaml", _list
    )
    listed.add_argument("--rule")
    listed.add_argument("--building")
    listed.add_argument("--by-cost", action="store_true", help="最贵的在前 / dearest first")
    one = add_command(
        subs, "show", "一条告警 / one alert", "alerts show 12 --config server.yaml", _show
    )
    one.add_argument("number", type=int)
    act = add_command(
        subs, "act", "处理告警 / act on alerts",
        "alerts act 12 13 --action assigned --to 后勤 --config server.yaml", _act,
    )  # fmt: skip
    act.add_argument("numbers", type=int, nargs="+")
    act.add_argument("--action", required=True, choices=[str(a) for a in Action])
    act.add_argument("--author", default=getpass.getuser(), help="经办人 / who acts")
    act.add_argument("--to", help="派给 / to whom")
    act.add_argument("--text", help="备注 / a note")
    act.add_argument("--until", help="静默至 / mute until, e.g. 2026-03-02T08:00")
    act.add_argument("--reason", help=f"原因 / why; false_alarm: {', '.join(FALSE_ALARM_REASONS)}")
    act.add_argument(
        "--once", action="store_true", help="误报不登记白名单 / a false alarm feeds no whitelist"
    )
    rates = add_command(
        subs, "rates", "误报率 / false-alarm rates", "alerts rates --config server.yaml", _rates
    )
    for sub in (listed, one, act, rates, *_add_whitelist(subs)):
        add_config(sub)


def _add_whitelist(subs: Any) -> tuple[argparse.ArgumentParser, ...]:
    allow = add_command(
        subs, "allow", "登记白名单 / enter expected use",
        "alerts allow --rule lights_all_night --meter E05 --reason duty_room --config server.yaml",
        _allow,
    )  # fmt: skip
    allow.add_argument("--rule", required=True)
    allow.add_argument("--meter", required=True)
    allow.add_argument("--reason", required=True, help=", ".join(WHITELIST_REASONS))
    allow.add_argument("--from", dest="start", help="默认现在 / default: now")
    allow.add_argument("--until", help="默认长期 / default: for good")
    allow.add_argument("--weekdays", default=ALL_DAYS, help="1 周一 … 7 周日 / ISO digits")
    allow.add_argument("--hours", default="00:00-24:00", help="18:00-06:00 可跨夜 / over midnight")
    allow.add_argument("--author", default=getpass.getuser())
    allowed = add_command(
        subs, "allowed", "白名单 / expected use", "alerts allowed --config server.yaml", _allowed
    )
    end = add_command(
        subs, "disallow", "终止白名单 / end expected use",
        "alerts disallow 3 --config server.yaml", _disallow,
    )  # fmt: skip
    end.add_argument("number", type=int)
    end.add_argument("--author", default=getpass.getuser())
    return allow, allowed, end


def _opened(args: argparse.Namespace) -> tuple[State, Site]:
    config = load_config(args.config)
    return open_state(config.state_url), load_site(config.site_file)


def _list(args: argparse.Namespace) -> int:
    state, site = _opened(args)
    rows = state.inbox.open(rule=args.rule, building=args.building, by_cost=args.by_cost)
    state.close()
    if not rows:
        message("alerts_none")
        return 0
    show(say("alerts_title"), say("alerts_columns"), [_row(a, site) for a in rows])
    return 0


def _show(args: argparse.Namespace) -> int:
    state, site = _opened(args)
    row = state.inbox.get(args.number)
    timeline = state.inbox.transitions(args.number)
    proofs = state.inbox.proofs(args.number)
    state.close()
    if row is None:
        message("alert_unknown", number=args.number)
        return EXIT_FAILED
    show(say("alerts_title"), say("alerts_columns"), [_row(row, site)])
    title = say("timeline_title", order=row.order_number)
    lines = [
        (_at(t.at_ms, site), _at(t.recorded_ms, site), t.to_phase, t.by, _json(t.detail))
        for t in timeline
    ]
    lines += [(_at(p["upto_ms"], site), "", "proof", "system", _json(p)) for p in proofs]
    show(title, say("timeline_columns"), lines)
    return 0


def _act(args: argparse.Namespace) -> int:
    state, site = _opened(args)
    until = None if args.until is None else moment_ms(args.until, site.zone, "--until")
    given = {"to": args.to, "text": args.text, "until_ms": until, "reason": args.reason}
    detail = {k: v for k, v in given.items() if v is not None}
    refused = 0
    for number in args.numbers:
        try:
            act_on(
                state.inbox, number, args.action, args.author, SystemClock().now_ms(), site.zone,
                feeds=not args.once, **detail,
            )  # fmt: skip
        except ConfigError as error:
            refused += 1
            message("alert_refused", number=number, reason=error)
        else:
            message("alert_acted", number=number, action=args.action)
    state.close()
    return EXIT_FAILED if refused else 0


def _rates(args: argparse.Namespace) -> int:
    state, _ = _opened(args)
    rates = state.inbox.false_alarm_rate().values()
    state.close()
    rows = [
        (r.rule, str(r.fired), str(r.false_alarms), str(r.withdrawn),
         "—" if r.share is None else f"{r.share:.1%}")
        for r in rates
    ]  # fmt: skip
    show(say("rates_title"), say("rates_columns"), rows)
    return 0


def _allow(args: argparse.Namespace) -> int:
    state, site = _opened(args)
    now_ms = SystemClock().now_ms()
    problems = []
    for option, given, known in (
        ("--rule", args.rule, [r.id for r in load_rules()]),
        ("--meter", args.meter, [m.id for m in site.meters]),
    ):
        if given not in known:
            fix = f"one of {', '.join(known[:20])}"
            problems.append(Problem("command line", option, "a known one", given, fix))
    if problems:
        raise ConfigError(problems)
    start, end = (_minute(t, args.hours) for t in f"{args.hours}-".split("-")[:2])
    entry = WhitelistEntry(
        rule=args.rule, meter=args.meter, reason=args.reason,
        from_ms=moment_ms(args.start, site.zone, "--from") if args.start else now_ms,
        until_ms=moment_ms(args.until, site.zone, "--until") if args.until else None,
        weekdays=args.weekdays, from_minute=start, to_minute=end, by=args.author,
    )  # fmt: skip
    message("whitelist_entered", number=state.inbox.allow(entry, now_ms))
    state.close()
    return 0


def _allowed(args: argparse.Namespace) -> int:
    state, site = _opened(args)
    rows = [
        (
            str(e.id), e.rule, e.meter, WHITELIST_REASONS.get(e.reason, e.reason),
            _at(e.from_ms, site), "—" if e.until_ms is None else _at(e.until_ms, site),
            e.weekdays, f"{_clock(e.from_minute)}-{_clock(e.to_minute)}", e.by,
        )
        for e in state.inbox.allowed()
    ]  # fmt: skip
    state.close()
    show(say("whitelist_title"), say("whitelist_columns"), rows)
    return 0


def _disallow(args: argparse.Namespace) -> int:
    state, _ = _opened(args)
    is_ended = state.inbox.disallow(args.number, args.author, SystemClock().now_ms())
    state.close()
    message("whitelist_ended" if is_ended else "whitelist_unknown", number=args.number)
    return 0 if is_ended else EXIT_FAILED


def _minute(text: str, whole: str) -> int:
    hour, _, minute = text.partition(":")
    if not (hour.isdigit() and minute.isdigit() and len(minute) == 2 and int(minute) < 60):
        fix = "write 18:00-06:00"
        raise ConfigError([Problem("command line", "--hours", "HH:MM-HH:MM", whole, fix)])
    return int(hour) * 60 + int(minute)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _row(a: AlertRow, site: Site) -> tuple[str, ...]:
    places = {b.id: b.name for b in site.buildings}
    yuan = "—" if a.yuan is None else f"{a.yuan:,.2f}"
    return (
        str(a.id), a.rule, a.severity, str(a.condition), str(a.work),
        places.get(a.building, a.building), a.meter, _at(a.start_ms, site),
        f"{a.excess:,.1f} {a.unit}", yuan,
    )  # fmt: skip


def _at(at_ms: int, site: Site) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, site.zone):%Y-%m-%d %H:%M}"


def _json(detail: Any) -> str:
    return json.dumps(detail, ensure_ascii=False) if detail else ""
