"""repair, balance, period, changes, audit, delete: keeping the books straight."""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from contract.clock import SystemClock
from contract.errors import ConfigError, Problem
from contract.reading import PointId
from server.app import open_works
from server.cli.shared import (
    EXIT_FAILED,
    add_author,
    add_command,
    add_config,
    add_span,
    close,
    message,
    moment_ms,
    show,
    span_of,
)
from server.config import load_config
from server.imports.repairs import read_bills, read_curve, read_readings
from server.jobs.entries import faults_of, fixed_before
from server.jobs.periods import balance_of, close_period, losses_of, obstacles, period_interval
from server.jobs.reviews import doubts_of_bills, doubts_of_period
from server.jobs.tracks import real_meters
from server.jobs.works import Works
from server.metrics.plausible import Doubt
from server.periods import KEPT_STEPS, Step
from server.site.file import load_site
from server.site.model import Site
from server.state import State, open_state
from server.state.books import AuditRow, NewRepair, RepairKind


def add_books(commands: Any) -> None:
    """Add the commands."""
    _add_repair(commands)
    balance = add_command(
        commands, "balance", "总分表平衡 / main meters against sub meters",
        "balance --config server.yaml --from 2026-03-01 --to 2026-04-01", _balance,
    )  # fmt: skip
    add_config(balance)
    add_span(balance)
    balance.add_argument(
        "--interval",
        type=Step,
        choices=KEPT_STEPS,
        help="逐时段损耗率 / the loss of every interval",
    )
    period = add_command(
        commands, "period", "结账：月或年 / close a month or a year; list what moved since",
        "period close 2026-03 --config server.yaml --reason 月度结账", _period,
    )  # fmt: skip
    period.add_argument("action", choices=("check", "close", "list"))
    period.add_argument("label", nargs="?", default="", help="2026-03 or 2026")
    add_config(period)
    period.add_argument("--reason", default="")
    period.add_argument("--author", default="")
    period.add_argument("--accept", action="store_true", help="close in spite of obstacles")
    changes = add_command(
        commands, "changes", "历史用量的变动 / values of the past that moved, and why",
        "changes --config server.yaml", _changes,
    )  # fmt: skip
    add_config(changes)
    log = add_command(
        commands, "audit", "审计日志 / who did what, and why", "audit --config server.yaml", _audit
    )
    add_config(log)
    drop = add_command(
        commands, "delete", "删除读数（写入审计） / delete readings, audited",
        "delete --config server.yaml --device E01 --measurand energy_import_kwh"
        " --from 2026-03-01 --to 2026-03-02 --reason 测试数据", _delete,
    )  # fmt: skip
    add_config(drop)
    add_span(drop)
    add_author(drop)
    drop.add_argument("--device", required=True)
    drop.add_argument("--measurand", required=True)


def _add_repair(commands: Any) -> None:
    group = commands.add_parser(
        "repair", help="数据修补与补录 / mend and enter data",
        epilog="例 example: compound-server repair list --config server.yaml",
    )  # fmt: skip
    inner = group.add_subparsers(required=True, metavar="COMMAND")
    exclude = add_command(
        inner, "exclude", "剔除坏数据 / leave readings of a span out; --with puts others in",
        "repair exclude --config server.yaml --meter E01 --from 2026-03-02T08:00"
        " --to 2026-03-02T10:00 --reason 接线错误", _exclude,
    )  # fmt: skip
    exclude.add_argument("--meter", required=True)
    exclude.add_argument("--from", dest="start", required=True)
    exclude.add_argument("--to", dest="end", required=True)
    exclude.add_argument("--with", dest="file", type=Path, help="readings that replace them")
    files = {
        "readings": ("人工抄表 / readings by hand: 表,时间,读数", read_readings),
        "bills": ("账单 / bills: 表,起,止,数量,金额", read_bills),
        "curve": ("负荷曲线 / a load curve: 表,起,止,数量", read_curve),
    }
    for name, (text, read) in files.items():
        sub = add_command(
            inner, name, text, f"repair {name} 文件.xlsx --config server.yaml --reason 补录", _enter
        )
        sub.add_argument("file", type=Path, help=".csv or .xlsx")
        sub.set_defaults(read=read)
        add_config(sub)
        add_author(sub)
        sub.add_argument("--accept", action="store_true", help="enter in spite of doubts")
    add_config(exclude)
    add_author(exclude)
    listing = add_command(
        inner, "list", "列出修补 / list repairs", "repair list --config server.yaml", _list
    )
    add_config(listing)
    undo = add_command(
        inner, "undo", "撤销 / take a repair back",
        "repair undo 3 --config server.yaml --reason 误录", _undo,
    )  # fmt: skip
    undo.add_argument("number", type=int)
    add_config(undo)
    add_author(undo)


@contextmanager
def _books(args: argparse.Namespace) -> Iterator[tuple[Site, State]]:
    """Give site and state; a running server takes up what is entered here."""
    config = load_config(args.config)
    site, state = load_site(config.site_file), open_state(config.state_url)
    try:
        yield site, state
    finally:
        state.close()


@contextmanager
def _works(args: argparse.Namespace) -> Iterator[Works]:
    works = open_works(load_config(args.config))
    try:
        yield works
    finally:
        close(works)


def _now_ms() -> int:
    return SystemClock().now_ms()


def _enterable(site: Site) -> frozenset[str]:
    return frozenset(m.id for m in real_meters(site))


def _exclude(args: argparse.Namespace) -> int:
    with _books(args) as (site, state):
        if args.meter not in _enterable(site):
            got, fix = args.meter, "take one that site show lists"
            raise ConfigError([Problem("command line", "--meter", "a real meter", got, fix)])
        start = moment_ms(args.start, site.zone, "--from")
        end = moment_ms(args.end, site.zone, "--to")
        if end <= start:
            raise ConfigError(
                [Problem("command line", "--to", "a time after --from", args.end, "correct it")]
            )
        kind, content = RepairKind.EXCLUDE, {}
        if args.file:
            read = read_readings(args.file, frozenset({args.meter}), site.zone, ("", ""))
            kind, content = RepairKind.REPLACE, dict(read[0].content) if read else {}
        new = NewRepair(kind, args.meter, start, end, content, args.reason, args.author)
        _check(str(args.file or "command line"), site, state, [new])
        (number,) = state.books.enter([new], _now_ms())
    message("repair_entered", numbers=number)
    return 0


def _enter(args: argparse.Namespace) -> int:
    with _books(args) as (site, state):
        new = args.read(args.file, _enterable(site), site.zone, (args.reason, args.author))
        _check(str(args.file), site, state, new)
        doubts = doubts_of_bills(site, state.books.repairs(), new)
        if _refused(doubts, accept=args.accept):
            return EXIT_FAILED
        numbers = state.books.enter(new, _now_ms())
    message("repair_entered", numbers=", ".join(map(str, numbers)))
    return 0


def _check(file: str, site: Site, state: State, new: list[NewRepair]) -> None:
    """Refuse what could never be computed."""
    now_ms = _now_ms()
    found = [
        (r.meter, f.partition(": "))
        for r in new
        for f in faults_of(r, now_ms, fixed_before(state, site.meter(r.meter)))
    ]
    problems = []
    for meter, (what, _, text) in found:
        expected, _, got = text.removeprefix("expected ").partition(", got ")
        problems.append(Problem(file, f"{meter} {what}", expected, got, "correct it"))
    if problems:
        raise ConfigError(problems)


def _refused(doubts: list[Doubt], *, accept: bool) -> bool:
    for doubt in doubts:
        message("doubt", subject=doubt.subject, text=doubt.text)
    if doubts and not accept:
        message("not_entered")
    return bool(doubts) and not accept


def _list(args: argparse.Namespace) -> int:
    with _books(args) as (site, state):
        rows = [
            (
                str(r.id), r.kind.value, r.meter, _local(r.start_ms, site), _local(r.end_ms, site),
                json.dumps(r.content, ensure_ascii=False)[:40], r.reason, r.author,
                "—" if r.undone_ms is None else _local(r.undone_ms, site),
            )
            for r in state.books.repairs(standing=False)
        ]  # fmt: skip
    show(
        "修补 / repairs",
        "号|类 kind|表 meter|起 from|止 to|内容|原因 reason|经办 author|撤销 undone",
        rows,
    )
    return 0


def _undo(args: argparse.Namespace) -> int:
    with _books(args) as (_, state):
        if state.books.undo(args.number, args.author, args.reason, _now_ms()) is None:
            fix = "look at repair list"
            raise ConfigError(
                [Problem("command line", "number", "a repair that stands", str(args.number), fix)]
            )
    message("repair_undone", number=args.number)
    return 0


def _balance(args: argparse.Namespace) -> int:
    with _works(args) as works:
        rows = [
            (
                r.main, " + ".join(r.subs), _amount(r.main_value), _amount(r.subs_value),
                "—" if r.ratio is None else f"{r.ratio:+.2%}", f"{r.coverage:.1%}",
                _verdict(r.ratio, r.limit),
            )
            for r in balance_of(works, span_of(args, works.site))
        ]  # fmt: skip
        losses = losses_of(works, span_of(args, works.site), args.interval) if args.interval else {}
        by_interval = [
            (
                main, _local(start_ms, works.site), _amount(value),
                "—" if np.isnan(ratio) else f"{ratio:+.2%}",
                _verdict(None if np.isnan(ratio) else ratio, works.site.balance_limit),
            )
            for main, (r, ratios) in losses.items()
            for start_ms, value, ratio in zip(
                r.starts_ms.tolist(), r.values.tolist(), ratios.tolist(), strict=True
            )
        ]  # fmt: skip
    show("总分表平衡 / balance", "总表 main|分表 subs|总 main|分 subs|损耗 loss|完整率|判定", rows)
    if args.interval:
        show("逐时段 / by interval", "总表 main|起 from|总 main|损耗 loss|判定", by_interval)
    return 0


def _verdict(ratio: float | None, limit: float) -> str:
    if ratio is None:
        return "不明 ?"
    return "超限 broken" if abs(ratio) > limit else "正常 fine"


def _amount(value: float | None) -> str:
    return "—" if value is None or np.isnan(value) else f"{value:,.2f}"


def _period(args: argparse.Namespace) -> int:
    if args.action == "list":
        return _period_list(args)
    with _works(args) as works:
        span = period_interval(args.label, works)
        if span is None:
            fix = "for instance period close 2026-03"
            raise ConfigError(
                [Problem("command line", "label", "2026 or 2026-03", args.label or "none", fix)]
            )
        found = obstacles(works, args.label, span, _now_ms())
        for o in found:
            message("obstacle", subject=o.subject, text=o.text)
        for d in doubts_of_period(works, span):
            message("doubt", subject=d.subject, text=d.text)
        if args.action == "check":
            return EXIT_FAILED if found else 0
        if not args.reason or not args.author:
            fix = "say who closes and why; both go into the audit log"
            raise ConfigError(
                [Problem("command line", "--reason, --author", "both", "not both", fix)]
            )
        if found and (not args.accept or any(o.subject == args.label for o in found)):
            message("not_closed", label=args.label)
            return EXIT_FAILED
        closed = close_period(works, args.label, span, args.author, args.reason, _now_ms())
    message("closed", label=closed.label, revision=closed.revision)
    return 0


def _period_list(args: argparse.Namespace) -> int:
    with _books(args) as (site, state):
        rows = [
            (p.label, str(p.revision), _local(p.closed_ms, site), p.closed_by, p.reason)
            for p in state.books.periods()
        ]
        moved = [
            (
                c.label, c.subject, c.before, c.after, c.unit, c.cause,
                "待处理 open" if c.revision is None else f"修订 r{c.revision}",
            )
            for c in state.books.corrections()
        ]  # fmt: skip
    show("已结账 / closed", "期 period|版 revision|时间 at|经办 by|原因 reason", rows)
    show("更正 / corrections", "期|对象 subject|原 before|现 after|单位|原因 cause|状态", moved)
    return 0


def _changes(args: argparse.Namespace) -> int:
    with _books(args) as (site, state):
        rows = [
            (
                _local(n.recorded_ms, site), n.meter, _local(n.start_ms, site),
                _local(n.end_ms, site), _amount(n.before), _amount(n.after), n.unit, n.cause,
            )
            for n in state.books.notes()
        ]  # fmt: skip
    show(
        "变动 / changes", "记录 at|表 meter|起 from|止 to|原 before|现 after|单位|原因 cause", rows
    )
    return 0


def _audit(args: argparse.Namespace) -> int:
    with _books(args) as (site, state):
        rows = [
            (_local(a.at_ms, site), a.who, a.action, a.object, a.reason)
            for a in state.books.audit_rows()
        ]
    show("审计 / audit", "时间 at|经办 who|动作 action|对象 object|原因 reason", rows)
    return 0


def _delete(args: argparse.Namespace) -> int:
    with _works(args) as works:
        span = span_of(args, works.site)
        point = PointId(works.site.id, args.device, args.measurand)
        count = works.store.delete([point], span)
        row = AuditRow(
            _now_ms(), args.author, "readings.delete", f"{args.device}/{args.measurand}",
            args.reason, f"[{span.start_ms}, {span.end_ms}) {count} readings",
        )  # fmt: skip
        works.state.books.note_audit(row)
        for m in real_meters(works.site):
            if (m.point_device, m.measurand) == (args.device, args.measurand):
                cause = f"readings deleted: {args.reason}"
                works.state.books.touch(m.id, span.start_ms, span.end_ms, cause)
    message("deleted", count=count)
    return 0


def _local(at_ms: int, site: Site) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(site.zone)
    return f"{at:%Y-%m-%d %H:%M}"
