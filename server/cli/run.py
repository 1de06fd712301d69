"""serve, backfill, report: running the server, and what it computes."""

import argparse
import errno
import socket
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from rich.console import Console
from rich.progress import Progress

from contract.clock import SystemClock
from contract.errors import ConfigError, Problem
from server.analysis import Analysis
from server.analysis.report import report_of
from server.app import create_app, open_works
from server.cli.shared import (
    EXIT_FAILED,
    add_command,
    add_config,
    add_span,
    close,
    span_of,
    tell,
)
from server.config import ServerConfig, load_config
from server.jobs.judging import judge_all
from server.jobs.rolling import roll_up
from server.messages import say
from server.report.html import render_html
from server.site.file import load_site
from server.yaml_file import read_facts

FACTS_LOCALLY = ("a run without --server", "--server", "stop the server and run it here")


def add_run(commands: Any) -> None:
    """Add the commands."""
    serve = add_command(
        commands, "serve", "启动服务 / run the server", "serve --config server.yaml", _serve
    )
    add_config(serve)
    fill = add_command(
        commands, "backfill", "补算用量与告警 / recompute rollups and alerts",
        "backfill --config server.yaml --from 2025-01-01 --to 2026-01-01", _backfill,
    )  # fmt: skip
    add_config(fill)
    add_span(fill)
    report = add_command(
        commands, "report", "生成年度报告节能部分 / write the energy section",
        "report --config server.yaml --year 2026 --out 节能.docx", _report,
    )  # fmt: skip
    add_config(report)
    report.add_argument("--year", type=int, required=True)
    report.add_argument("--out", type=Path, required=True)
    report.add_argument("--html", type=Path)
    report.add_argument(
        "--facts", type=Path, metavar="facts.yaml",
        help="人工填写的事实：待填项名称: 内容 / facts for the marked gaps, by their names",
    )  # fmt: skip
    for sub in (fill, report):
        sub.add_argument("--server", metavar="URL", help="ask a running server instead")


def _serve(args: argparse.Namespace) -> int:
    config = load_config(args.config)
    if not _is_free(config):
        tell(say("port_taken", host=config.host, port=config.port))
        return EXIT_FAILED
    app = create_app(config, open_works(config))
    uvicorn.run(
        app, host=config.host, port=config.port, log_level="warning", access_log=False,
        server_header=False,
    )  # fmt: skip
    return 0


def _is_free(config: ServerConfig) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.host, config.port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _backfill(args: argparse.Namespace) -> int:
    config = load_config(args.config)
    if args.server:
        return _backfill_there(args, config)
    works = open_works(config)
    try:
        interval = span_of(args, works.site)
        with Progress(console=Console(stderr=True)) as progress:
            first = progress.add_task("汇总用量 rolling up", total=1.0)
            now_ms = SystemClock().now_ms()
            done = roll_up(works, interval, now_ms, lambda x: progress.update(first, completed=x))
            second = progress.add_task("判断告警 judging", total=1.0)
            alerts = judge_all(
                works, interval, SystemClock().now_ms(),
                lambda x: progress.update(second, completed=x),
            )  # fmt: skip
    finally:
        close(works)
    tell(say("backfilled", values=done.values, alerts=alerts))
    return 0


def _backfill_there(args: argparse.Namespace, config: ServerConfig) -> int:
    interval = span_of(args, load_site(config.site_file))
    span = {"start_ms": interval.start_ms, "end_ms": interval.end_ms}
    headers = {"Authorization": f"Token {config.write_tokens[0]}"}
    url = f"{args.server.rstrip('/')}/api/v1/jobs/backfill"
    answer = httpx.post(url, json=span, headers=headers, timeout=600)
    if answer.status_code != 200:
        tell(say("server_said", status=answer.status_code, text=answer.text[:300]))
        return EXIT_FAILED
    done = answer.json()
    tell(say("backfilled", values=done["interval_values"], alerts=done["new_alerts"]))
    return 0


def _report(args: argparse.Namespace) -> int:
    config = load_config(args.config)
    if args.server:
        if args.facts:
            raise ConfigError([Problem(str(args.facts), "--facts", *FACTS_LOCALLY)])
        return _report_there(args, config)
    from server.report.docx import render_docx  # python-docx loads slowly: only where it is used

    entered = read_facts(args.facts) if args.facts else {}
    works = open_works(config)
    try:
        report = report_of(Analysis(works, SystemClock()), args.year, entered)
        unknown = sorted(set(entered) - report.slots)
        if unknown:
            known = ", ".join(sorted(report.slots))
            fix = f"use one of: {known}"
            name = str(args.facts)
            raise ConfigError([Problem(name, u, "the name of a gap", u, fix) for u in unknown])
    finally:
        close(works)
    render_docx(report, args.out)
    if args.html:
        args.html.write_text(render_html(report), "utf-8")
    tell(say("report_written", path=args.out, open=len(report.missing)))
    return 0


def _report_there(args: argparse.Namespace, config: ServerConfig) -> int:
    headers = {"Authorization": f"Token {config.write_tokens[0]}"}
    for path, kind in ((args.out, "docx"), (args.html, "html")):
        if path is None:
            continue
        url = f"{args.server.rstrip('/')}/api/v1/report/{args.year}.{kind}"
        answer = httpx.get(url, headers=headers, timeout=120)
        if answer.status_code != 200:
            tell(say("server_said", status=answer.status_code, text=answer.text[:300]))
            return EXIT_FAILED
        path.write_bytes(answer.content)
        tell(say("report_written", path=path, open=answer.headers.get("X-Open-Facts", "?")))
    return 0
