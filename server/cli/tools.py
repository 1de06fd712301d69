"""influx-init, grafana-push, consumption: tools that need no server."""

import argparse
import csv
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from contract.errors import ConfigError, Problem
from server.cli.shared import above_zero, add_command, tell, time_zone
from server.grafana import push_dashboard
from server.imports.consumption import HEADER, Settings, consumption, rows, summary
from server.imports.counter_csv import read_counters, read_replacements
from server.messages import say
from server.periods import Step
from server.store.influx import set_up


def add_tools(commands: Any) -> None:
    """Add the commands."""
    influx = add_command(
        commands, "influx-init",
        "建立 InfluxDB 存储桶与各代理只写令牌 / set up an InfluxDB 2 bucket and tokens",
        "influx-init --url http://127.0.0.1:8086 --admin-token-file admin --agents a1 a2"
        " --out tokens", _influx_init,
    )  # fmt: skip
    influx.add_argument("--url", required=True)
    influx.add_argument("--admin-token-file", type=Path, required=True)
    influx.add_argument("--org", default="compound")
    influx.add_argument("--bucket", default="energy")
    influx.add_argument(
        "--retention-days",
        type=int,
        default=0,
        help="0：永久保留；其他天数会连同汇总一起删除 / 0: for ever; else rollups go with it",
    )
    influx.add_argument("--agents", nargs="+", required=True, metavar="NAME")
    influx.add_argument("--out", type=Path, required=True, help="a folder for the token files")
    plain = add_command(
        commands, "consumption",
        "由止码文件计算用量 / exact consumption from a CSV file of counter readings",
        "consumption readings.csv --interval 1h --events e.csv", _consumption,
    )  # fmt: skip
    plain.add_argument("file", type=Path, help="time,meter,value or time and a column a meter")
    plain.add_argument("--interval", type=Step, choices=list(Step), default=Step.HOUR)
    plain.add_argument("--events", type=Path, help="meter exchanges: time,meter,closing,opening")
    plain.add_argument("--timezone", type=time_zone, default=ZoneInfo("Asia/Shanghai"))
    plain.add_argument("--rollover", type=above_zero, help="the register's width")
    plain.add_argument("--max-power", type=above_zero, help="the most it can count an hour")
    plain.add_argument("--max-spacing-min", type=above_zero, default=60, help="longer is a gap")
    plain.add_argument("--out", type=Path, help="default: standard output")
    push = add_command(
        commands, "grafana-push", "把看板送到 Grafana / push a dashboard to Grafana",
        "grafana-push --url http://127.0.0.1:3000 --token-file token"
        " --dashboard grafana/dashboards/compound.json", _grafana_push,
    )  # fmt: skip
    push.add_argument("--url", required=True)
    push.add_argument("--token-file", type=Path, required=True)
    push.add_argument("--dashboard", type=Path, required=True)


def _influx_init(args: argparse.Namespace) -> int:
    token = args.admin_token_file.read_text("utf-8").strip()
    made = set_up(args.url, token, args.org, args.bucket, args.retention_days, args.agents)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, secret in made.items():
        path = args.out / name
        path.touch(mode=0o600)
        path.write_text(secret + "\n", "utf-8")
    tell(say("influx_ready", bucket=args.bucket, tokens=", ".join(made), folder=args.out))
    return 0


def _consumption(args: argparse.Namespace) -> int:
    swaps = read_replacements(args.events, args.timezone) if args.events else {}
    counters = read_counters(args.file, args.timezone)
    unknown = sorted(swaps.keys() - counters.keys())
    if unknown:
        known = ", ".join(counters)
        raise ConfigError(
            [Problem(str(args.events), "meter", f"one of {known}", m, "mend it") for m in unknown]
        )
    spacing_ms = round(args.max_spacing_min * 60_000)
    settings = Settings(args.interval, args.timezone, args.rollover, spacing_ms, args.max_power)
    found = {
        m: consumption(m, series, swaps.get(m, ()), settings) for m, series in counters.items()
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
    tell(say("dashboard_pushed", url=url))
    return 0
