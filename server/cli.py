"""compound-server: serve, backfill, report."""

import argparse
import csv
import errno
import logging
import socket
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import structlog
import uvicorn
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from contract.clock import SystemClock
from contract.errors import ConfigError, DeliveryError, Problem
from server.analysis import Analysis
from server.analysis.report import report_of
from server.app import create_app, open_works
from server.config import ServerConfig, load_config
from server.grafana import push_dashboard
from server.imports.consumption import HEADER, Settings, consumption, rows, summary
from server.imports.counter_csv import read_counters, read_replacements
from server.jobs.judging import judge_all
from server.jobs.rolling import roll_up
from server.jobs.works import Works
from server.messages import say
from server.periods import Interval, Step, midnight_ms
from server.report.docx import render_docx
from server.report.html import render_html
from server.site.file import load_site
from server.site.model import Site
from server.store.influx import set_up
from server.yaml_file import read_facts

EXIT_FAILED, EXIT_CONFIG = 1, 2
FACTS_LOCALLY = ("a run without --server", "--server", "stop the server and run it here")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 it could not be done, 2 the configuration is wrong."""
    args = _parser().parse_args(argv)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.__stderr__),
    )
    try:
        return int(args.command(args))
    except ConfigError as error:
        _tell(say("config_bad"))
        for p in error.problems:
            _tell(say("problem", file=p.file, at=p.key, expected=p.expected, got=p.got, fix=p.fix))
        return EXIT_CONFIG
    except DeliveryError as error:
        _tell(say("failed", error=error))
        return EXIT_FAILED


def _tell(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="compound-server", description="大院能源服务端 / the server of compound energy"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, text: str, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=text, description=text, epilog=f"例 example: compound-server {example}"
        )
        sub.add_argument("--config", type=Path, required=True, metavar="server.yaml")
        return sub

    serve = add("serve", "启动服务 / run the server", "serve --config server.yaml")
    serve.set_defaults(command=_serve)
    fill = add(
        "backfill", "补算用量与告警 / recompute rollups and alerts",
        "backfill --config server.yaml --from 2025-01-01 --to 2026-01-01",
    )  # fmt: skip
    fill.add_argument("--from", dest="start", type=datetime.fromisoformat, required=True)
    fill.add_argument("--to", dest="end", type=datetime.fromisoformat, required=True)
    fill.set_defaults(command=_backfill)
    report = add(
        "report", "生成年度报告节能部分 / write the energy section",
        "report --config server.yaml --year 2026 --out 节能.docx",
    )  # fmt: skip
    report.add_argument("--year", type=int, required=True)
    report.add_argument("--out", type=Path, required=True)
    report.add_argument("--html", type=Path)
    report.add_argument(
        "--facts", type=Path, metavar="facts.yaml",
        help="人工填写的事实：待填项名称: 内容 / facts for the marked gaps, by their names",
    )  # fmt: skip
    report.set_defaults(command=_report)
    _add_set_up(commands)
    for sub in (fill, report):
        sub.add_argument("--server", metavar="URL", help="ask a running server instead")
    return parser


def _add_set_up(commands: Any) -> None:
    influx = commands.add_parser(
        "influx-init",
        help="建立 InfluxDB 存储桶与各代理只写令牌 / set up an InfluxDB 2 bucket and tokens",
        epilog="例 example: compound-server influx-init --url http://127.0.0.1:8086"
        " --admin-token-file admin --agents a1 a2 --out tokens",
    )
    influx.add_argument("--url", required=True)
    influx.add_argument("--admin-token-file", type=Path, required=True)
    influx.add_argument("--org", default="compound")
    influx.add_argument("--bucket", default="energy")
    influx.add_argument("--retention-days", type=int, default=0, help="0: for ever")
    influx.add_argument("--agents", nargs="+", required=True, metavar="NAME")
    influx.add_argument("--out", type=Path, required=True, help="a folder for the token files")
    influx.set_defaults(command=_influx_init)
    plain = commands.add_parser(
        "consumption",
        help="由止码文件计算用量 / exact consumption from a CSV file of counter readings",
        epilog="例 example: compound-server consumption readings.csv --interval 1h --events e.csv",
    )
    plain.add_argument("file", type=Path, help="time,meter,value or time and a column a meter")
    plain.add_argument("--interval", type=Step, choices=list(Step), default=Step.HOUR)
    plain.add_argument("--events", type=Path, help="meter exchanges: time,meter,closing,opening")
    plain.add_argument("--timezone", type=ZoneInfo, default=ZoneInfo("Asia/Shanghai"))
    plain.add_argument("--rollover", type=float, help="the register's width")
    plain.add_argument("--max-power", type=float, help="the most it can count an hour")
    plain.add_argument("--max-spacing-min", type=float, default=60, help="longer is a gap")
    plain.add_argument("--out", type=Path, help="default: standard output")
    plain.set_defaults(command=_consumption)
    push = commands.add_parser(
        "grafana-push",
        help="把看板送到 Grafana / push a dashboard to Grafana",
        epilog="例 example: compound-server grafana-push --url http://127.0.0.1:3000"
        " --token-file token --dashboard grafana/dashboards/compound.json",
    )
    push.add_argument("--url", required=True)
    push.add_argument("--token-file", type=Path, required=True)
    push.add_argument("--dashboard", type=Path, required=True)
    push.set_defaults(command=_grafana_push)


def _influx_init(args: argparse.Namespace) -> int:
    token = args.admin_token_file.read_text("utf-8").strip()
    made = set_up(args.url, token, args.org, args.bucket, args.retention_days, args.agents)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, secret in made.items():
        path = args.out / name
        path.touch(mode=0o600)
        path.write_text(secret + "\n", "utf-8")
    _tell(say("influx_ready", bucket=args.bucket, tokens=", ".join(made), folder=args.out))
    return 0


def _consumption(args: argparse.Namespace) -> int:
    swaps = read_replacements(args.events, args.timezone) if args.events else {}
    spacing_ms = round(args.max_spacing_min * 60_000)
    settings = Settings(args.interval, args.timezone, args.rollover, spacing_ms, args.max_power)
    found = {
        m: consumption(m, series, swaps.get(m, ()), settings)
        for m, series in read_counters(args.file, args.timezone).items()
    }
    with (
        args.out.open("w", encoding="utf-8", newline="")
        if args.out
        else nullcontext(sys.stdout) as out
    ):
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(HEADER)
        for r in found.values():
            writer.writerows(rows(r, args.timezone))
    table = Table(*say("consumption_columns").split("|"))
    for row in summary(found):
        table.add_row(*row)
    Console(stderr=True).print(table)
    return 0


def _grafana_push(args: argparse.Namespace) -> int:
    url = push_dashboard(args.url, args.token_file.read_text("utf-8").strip(), args.dashboard)
    _tell(say("dashboard_pushed", url=url))
    return 0


def _serve(args: argparse.Namespace) -> int:
    config = load_config(args.config)
    if not _is_free(config):
        _tell(say("port_taken", host=config.host, port=config.port))
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
        interval = _interval(args, works.site)
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
        _close(works)
    _tell(say("backfilled", values=done.values, alerts=alerts))
    return 0


def _interval(args: argparse.Namespace, site: Site) -> Interval:
    zone = site.zone
    return Interval(midnight_ms(args.start.date(), zone), midnight_ms(args.end.date(), zone))


def _backfill_there(args: argparse.Namespace, config: ServerConfig) -> int:
    interval = _interval(args, load_site(config.site_file))
    span = {"start_ms": interval.start_ms, "end_ms": interval.end_ms}
    headers = {"Authorization": f"Token {config.write_tokens[0]}"}
    url = f"{args.server.rstrip('/')}/api/v1/jobs/backfill"
    answer = httpx.post(url, json=span, headers=headers, timeout=600)
    if answer.status_code != 200:
        _tell(say("server_said", status=answer.status_code, text=answer.text[:300]))
        return EXIT_FAILED
    done = answer.json()
    _tell(say("backfilled", values=done["interval_values"], alerts=done["new_alerts"]))
    return 0


def _report(args: argparse.Namespace) -> int:
    config = load_config(args.config)
    if args.server:
        if args.facts:
            raise ConfigError([Problem(str(args.facts), "--facts", *FACTS_LOCALLY)])
        return _report_there(args, config)
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
        _close(works)
    render_docx(report, args.out)
    if args.html:
        args.html.write_text(render_html(report), "utf-8")
    _tell(say("report_written", path=args.out, open=len(report.missing)))
    return 0


def _report_there(args: argparse.Namespace, config: ServerConfig) -> int:
    headers = {"Authorization": f"Token {config.write_tokens[0]}"}
    for path, kind in ((args.out, "docx"), (args.html, "html")):
        if path is None:
            continue
        url = f"{args.server.rstrip('/')}/api/v1/report/{args.year}.{kind}"
        answer = httpx.get(url, headers=headers, timeout=120)
        if answer.status_code != 200:
            _tell(say("server_said", status=answer.status_code, text=answer.text[:300]))
            return EXIT_FAILED
        path.write_bytes(answer.content)
        _tell(say("report_written", path=path, open=answer.headers.get("X-Open-Facts", "?")))
    return 0


def _close(works: Works) -> None:
    works.store.close()
    works.state.close()
