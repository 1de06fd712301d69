"""compound-sim: serve the simulated compound, fill its history, tell its truth, run the demo."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from contract.clock import SystemClock
from simulators.compound import Compound
from simulators.control import ControlServer
from simulators.history import DAY_MS, HistoryWriter, bodies
from simulators.serve import SimulatedSite

AHEAD_MS = 2 * DAY_MS


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what it had to."""
    args = _parser().parse_args(argv)
    return int(args.command(args))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="compound-sim", description="模拟大院：真实协议、已知真值。 The simulated compound."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, text: str, example: str) -> argparse.ArgumentParser:
        epilog = f"例 example: compound-sim {example}"
        return commands.add_parser(name, help=text, description=text, epilog=epilog)

    serve = add(
        "serve",
        "模拟设备上线 / serve every device",
        "serve --dir run --server-url http://127.0.0.1:8650",
    )
    serve.add_argument("--dir", type=Path, required=True, help="where the configurations go")
    serve.add_argument("--server-url", default="http://127.0.0.1:8650")
    serve.add_argument("--token-file", type=Path, help="default: DIR/token")
    serve.add_argument("--interval-s", type=int, default=5)
    serve.set_defaults(command=_serve)
    fill = add(
        "history",
        "补写历史 / write months of history",
        "history --url http://127.0.0.1:8650 --token-file token",
    )
    fill.add_argument("--url", required=True)
    fill.add_argument("--token-file", type=Path, required=True)
    fill.set_defaults(command=_history)
    truth = add("truth", "真值 / the truth of a span", "truth --months 1")
    truth.set_defaults(command=_truth)
    for sub in (serve, fill, truth):
        sub.add_argument("--seed", type=int, default=7)
        sub.add_argument("--months", type=int, default=14)
        sub.add_argument("--now-ms", type=int, help="the present; default: the clock")
    demo = add("demo", "整条线演示 / the whole line, from registers to report", "demo --once")
    demo.add_argument("--once", action="store_true", help="stop after the table")
    demo.add_argument("--dir", type=Path, default=Path(".demo"))
    demo.add_argument("--months", type=int, default=14)
    demo.add_argument("--seed", type=int, default=7)
    demo.add_argument("--port", type=int, default=0, help="of the console; default: a free one")
    demo.set_defaults(command=_demo)
    return parser


def _now_ms(args: argparse.Namespace) -> int:
    return int(args.now_ms or SystemClock().now_ms())


def build(seed: int, months: int, now_ms: int) -> Compound:
    """Build the compound that every command with the same arguments agrees on."""
    days = round(months * 30.44)
    return Compound.build(seed, now_ms - days * DAY_MS, now_ms + AHEAD_MS, now_ms)


def _serve(args: argparse.Namespace) -> int:
    compound = build(args.seed, args.months, _now_ms(args))
    asyncio.run(_serve_until_told(args, compound))
    return 0


async def _serve_until_told(args: argparse.Namespace, compound: Compound) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with SimulatedSite(compound) as site:
        token = args.token_file or args.dir / "token"
        site.write_configs(args.dir, args.server_url, token, args.interval_s)
        with ControlServer(site.devices) as control:
            ready = args.dir / "simulator.json.new"
            ready.write_text(json.dumps({"control": control.url}), "utf-8")
            ready.replace(args.dir / "simulator.json")  # whoever waits for it finds it whole
            await stop.wait()


def _history(args: argparse.Namespace) -> int:
    now_ms = _now_ms(args)
    compound = build(args.seed, args.months, now_ms)
    writer = HistoryWriter(args.url, args.token_file.read_text("utf-8").strip())
    start_ms = compound.conditions.start_ms
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("补写历史 filling history", total=now_ms - start_ms)
        for body in bodies(compound, start_ms, now_ms):
            writer.post(body)
            progress.update(task, completed=body.end_ms - start_ms)
    return 0


def _truth(args: argparse.Namespace) -> int:
    now_ms = _now_ms(args)
    compound = build(args.seed, args.months, now_ms)
    start_ms = compound.conditions.start_ms
    rows = {
        "span_ms": [start_ms, now_ms],
        "meters": {k: compound.truth(k, start_ms, now_ms) for k in compound.meters},
        "wastes": [
            {"kind": w.kind, "meter": w.meter, "start_ms": w.start_ms, "end_ms": w.end_ms}
            for w in compound.wastes
        ],
    }
    sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
    return 0


def _demo(args: argparse.Namespace) -> int:
    from simulators.demo import run_demo

    return run_demo(args)
