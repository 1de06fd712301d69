"""The demo: the whole line on this machine, from registers to the report, checked against truth."""

import argparse
import json
import secrets
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from contract.clock import SystemClock
from simulators.cli import build
from simulators.client import ServerClient, ServerError
from simulators.compound import Compound
from simulators.history import QUARTER_MS, HistoryError, HistoryWriter, bodies
from simulators.ports import free_port
from simulators.stage import Stage, StageError, stage
from simulators.truth_checks import Live, indicator_rows, run_checks
from simulators.verdict import Check

AGENTS = ("a1", "a2", "a3")
INTERVAL_S = 5
LIVE_ROUNDS = 4
MARKER = "compound-demo"
STARTUP_S = 60.0
LIVE_TIMEOUT_MS = 120_000


@dataclass(frozen=True, slots=True)
class Run:
    """One run's folder, server and compound."""

    folder: Path
    client: ServerClient
    token: str
    compound: Compound
    start_ms: int
    now_ms: int


def prepare(folder: Path, seed: int, months: int, port: int) -> Run:
    """Make a fresh folder with server.yaml and a new token; give the run."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise SystemExit(f"{folder} 不是演示目录，未改动 / not a demo folder, left alone")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()
    token = secrets.token_urlsafe(32)
    for name in ("token", "write-tokens"):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(token + "\n", "utf-8")
    port = port or free_port()
    server = {
        "site_file": "./site.yaml",
        "store": {"url": "duckdb:///./readings.duckdb"},
        "state": {"url": "sqlite:///./state.db"},
        "listen": {"host": "127.0.0.1", "port": port},
        "write_tokens_file": "./write-tokens",
    }
    (folder / "server.yaml").write_text(yaml.safe_dump(server, sort_keys=False), "utf-8")
    now_ms = SystemClock().now_ms() // QUARTER_MS * QUARTER_MS
    compound = build(seed, months, now_ms)
    client = ServerClient(f"http://127.0.0.1:{port}", token)
    return Run(folder, client, token, compound, compound.conditions.start_ms, now_ms)


def start_simulator(it: Stage, run: Run, seed: int, months: int) -> str:
    """Start the devices; give the URL of their control door."""
    it.start(
        "simulator", "compound-sim", "serve", "--dir", str(run.folder), "--seed", str(seed),
        "--months", str(months), "--now-ms", str(run.now_ms), "--server-url", run.client.url,
        "--interval-s", str(INTERVAL_S),
    )  # fmt: skip
    ready = run.folder / "simulator.json"
    it.wait_for("simulator", ready.exists, STARTUP_S)
    return str(json.loads(ready.read_text("utf-8"))["control"])


def start_server(it: Stage, run: Run) -> None:
    """Start the server and wait until it answers."""
    it.start("server", "compound-server", "serve", "--config", str(run.folder / "server.yaml"))
    it.wait_for("server", run.client.is_up, STARTUP_S)


def start_agent(it: Stage, run: Run, agent: str) -> None:
    """Start one agent."""
    it.start(agent, "compound-edge", "run", "--config", str(run.folder / f"{agent}.yaml"))


def fill_history(run: Run, progress: Progress, task: TaskID) -> int:
    """Write the history through the ingest path; give the readings written."""
    writer = HistoryWriter(run.client.url, run.token)
    readings = 0
    for body in bodies(run.compound, run.start_ms, run.now_ms):
        writer.post(body)
        readings += body.readings
        progress.update(task, completed=body.end_ms - run.start_ms)
    return readings


def run_demo(args: argparse.Namespace) -> int:
    """Run the demo; 0 when every check holds."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the stage is cleared either way
    console = Console()
    try:
        return _run(args, console)
    except (StageError, HistoryError, ServerError) as error:
        Console(stderr=True).print(f"演示中止 demo stopped: {error}", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(args: argparse.Namespace, console: Console) -> int:
    started_s = time.monotonic()
    run = prepare(args.dir, args.seed, args.months, args.port)
    with stage(run.folder) as it:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            live, history = _play(it, run, args, progress)
        checks = run_checks(run.client, run.compound, live, run.start_ms, run.now_ms)
        report = _write_report(run)
        _show(console, run, checks, history, report, time.monotonic() - started_s)
        if args.once:
            return 0 if all(c.holds for c in checks) else 1
        console.print(f"\n控制台 console: [link]{run.client.url}/[/link]  —  Ctrl-C 结束 / to stop")
        _serve_until_interrupted(it)
        return 0


def _play(it: Stage, run: Run, args: argparse.Namespace, progress: Progress) -> tuple[Live, int]:
    start = progress.add_task("启动设备与服务 starting devices and server", total=2)
    start_simulator(it, run, args.seed, args.months)
    progress.advance(start)
    start_server(it, run)
    progress.advance(start)
    fill = progress.add_task(
        f"补写 {args.months} 个月历史 filling history", total=run.now_ms - run.start_ms
    )
    history = fill_history(run, progress, fill)
    polls = progress.add_task("三个代理现场采集 three agents polling", total=LIVE_ROUNDS + 1)
    live = Live(AGENTS, INTERVAL_S * 1000, SystemClock().now_ms())
    for agent in AGENTS:
        start_agent(it, run, agent)
    roll = progress.add_task("汇总与判断 rolling up and judging", total=1)
    run.client.backfill(run.start_ms, run.now_ms)
    progress.advance(roll)
    while (rounds := live.rounds(run.client, run.compound)) < LIVE_ROUNDS:
        progress.update(polls, completed=rounds)
        time.sleep(0.5)
        if SystemClock().now_ms() - live.start_ms > LIVE_TIMEOUT_MS:
            break  # the checks will say what is missing
    progress.update(polls, completed=LIVE_ROUNDS + 1)
    return live, history


def _write_report(run: Run) -> Path:
    year = time.gmtime(run.now_ms / 1000 + 8 * 3600).tm_year
    for kind in ("docx", "html"):
        content = run.client.get_bytes(f"/api/v1/report/{year}.{kind}")
        (run.folder / f"report-{year}.{kind}").write_bytes(content)
    return run.folder / f"report-{year}.docx"


def _show(
    console: Console, run: Run, checks: list[Check], history: int, report: Path, took_s: float
) -> None:
    table = Table(title="大院能源演示结果 / demo", show_lines=False)
    for title in ("核对 check", "系统 pipeline", "真值 truth", "结果"):
        table.add_column(title)
    for c in checks:
        table.add_row(c.title, c.found, c.truth, "[green]✓[/]" if c.holds else "[red]✗[/]")
    console.print(table)
    delivered = sum(r["readings_sent"] for r in run.client.get("/api/v1/delivery"))
    facts = Table(title="今年指标 indicators of the year", show_header=False)
    for label, value in indicator_rows(run.client, run.now_ms):
        facts.add_row(label, value)
    facts.add_row("已送达读数 readings delivered", f"{delivered:,}（历史 {history:,}）")
    facts.add_row("报告 report", str(report))
    facts.add_row("控制台 console", f"{run.client.url}/")
    facts.add_row("用时 took", f"{took_s:.0f} s")
    console.print(facts)


def _serve_until_interrupted(it: Stage) -> None:
    try:
        while all(p.poll() is None for p in it.processes.values()):
            time.sleep(1.0)
    except KeyboardInterrupt:
        return
