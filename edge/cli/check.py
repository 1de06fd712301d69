"""check: is the configuration right, what is asked of the devices, and is there time for it."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

from edge.agent import read_config
from edge.budget import RESERVE, BusBudget, DeviceLoad, bus_budgets, warnings
from edge.cli.shared import add_command, add_config
from edge.config import AgentConfig
from edge.messages import say
from edge.plan import ReadBlock
from edge.profile import Pace

WIDE = 200  # columns where nobody's terminal says otherwise


def add_check(commands: Any) -> None:
    """Add the commands of this module."""
    text = "检查配置，打印读取计划和总线时间 / check agent.yaml; print the plan and the bus time"
    sub = add_command(commands, "check", text, "check --config agent.yaml", _check)
    add_config(sub)
    sub.add_argument("--json", action="store_true", help="机器可读 / machine-readable")


def _check(args: argparse.Namespace) -> int:
    config = read_config(args.config)
    buses = bus_budgets(config)
    if args.json:
        sys.stdout.write(json.dumps(_document(config, buses), ensure_ascii=False) + "\n")
        return 0
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    console.print(_table("plan_title", "blocks_columns", (r for b in buses for r in _rows(b))))
    console.print(_table("budget_title", "budget_columns", map(_budget_row, buses)))
    for text in warnings(config):
        console.print(say("warning", text=text), markup=False, soft_wrap=True)
    counts = {"devices": len(config.devices), "connections": len(config.connections)}
    console.print(say("config_good", **counts), markup=False)
    return 0


def _table(title: str, columns: str, rows: Iterator[tuple[str, ...]]) -> Table:
    table = Table(title=say(title, reserve=RESERVE), title_justify="left")
    for name in say(columns).split("|"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _rows(bus: BusBudget) -> Iterator[tuple[str, ...]]:
    """Give a row for each pace of devices that stand together and are read alike."""
    for (profile, _), some in groupby(bus.loads, lambda d: (d.device.profile, d.plan)):
        alike = list(some)
        names = (" ".join(d.device.id for d in alike), bus.connection.id, profile)
        for pace, blocks in alike[0].plan.blocks.items():
            yield (
                *names, pace.value, f"{bus.interval_s(pace):g}", " ".join(map(_span, blocks)),
                str(sum(len(b.points) for b in blocks)), str(_registers(blocks)),
                str(sum(b.idle_registers for b in blocks)),
            )  # fmt: skip
            names = ("", "", "")


def _span(block: ReadBlock) -> str:
    if not block.function:
        return f"nodes×{len(block.points)}"
    return f"{block.function:02d}:{block.address:04X}+{block.count}"


def _registers(blocks: Sequence[ReadBlock]) -> int:
    return sum(b.count for b in blocks if b.function)


def _budget_row(bus: BusBudget) -> tuple[str, ...]:
    blocks = bus.blocks()
    return (
        bus.connection.id, str(bus.line.baud or "—"), f"{bus.tick_s:g}", str(len(bus.loads)),
        str(len(blocks)), str(_registers(blocks)), f"{bus.cycle_s:.3f}", f"{bus.busiest_s:.3f}",
        f"{bus.share:.1%}", f"{bus.worst_s:.3f}", str(bus.silent_that_fit),
        " ".join(f"{p.value} {bus.utilisation(p):.1%}" for p in bus.paces),
    )  # fmt: skip


def _document(config: AgentConfig, buses: Sequence[BusBudget]) -> dict[str, Any]:
    return {
        "devices": [_device(load) for bus in buses for load in bus.loads],
        "buses": [_bus(bus) for bus in buses],
        "reserve": RESERVE,
        "warnings": warnings(config),
    }


def _device(load: DeviceLoad) -> dict[str, Any]:
    blocks = [(pace, b) for pace, some in load.plan.blocks.items() for b in some]
    return {
        "device": load.device.id,
        "connection": load.device.connection,
        "profile": load.device.profile,
        "fingerprint": load.plan.fingerprint,
        "blocks": [_block(pace, b) for pace, b in blocks],
    }


def _block(pace: Pace, block: ReadBlock) -> dict[str, Any]:
    return {
        "pace": pace.value,
        "function": block.function,
        "address": block.address,
        "count": block.count,
        "idle_registers": block.idle_registers,
        "points": [p.measurand for p in block.points],
    }


def _bus(bus: BusBudget) -> dict[str, Any]:
    return {
        "connection": bus.connection.id,
        "baud": bus.line.baud,
        "tick_s": bus.tick_s,
        "interval_s": {p.value: bus.interval_s(p) for p in bus.paces},
        "devices": len(bus.loads),
        "requests": len(bus.blocks()),
        "registers": _registers(bus.blocks()),
        "turnaround_s": bus.line.turnaround_s,
        "cycle_s": round(bus.cycle_s, 6),
        "busiest_s": round(bus.busiest_s, 6),
        "worst_s": round(bus.worst_s, 6),
        "silent_that_fit": bus.silent_that_fit,
        "share": round(bus.share, 6),
        "utilisation": {p.value: round(bus.utilisation(p), 6) for p in bus.paces},
    }
