"""check: is the configuration right, and what will be asked of the devices."""

import argparse
from typing import Any

from rich.console import Console
from rich.table import Table

from edge.agent import read_config, unit_of
from edge.cli.shared import add_command, add_config
from edge.messages import say


def add_check(commands: Any) -> None:
    """Add the commands of this module."""
    text = "检查配置并打印读取计划 / check agent.yaml and print the plan"
    add_config(add_command(commands, "check", text, "check --config agent.yaml", _check))


def _check(args: argparse.Namespace) -> int:
    config = read_config(args.config)
    table = Table(*say("plan_columns").split("|"), title=say("plan_title"))
    for device in config.devices:
        blocks = unit_of(config, device).blocks
        points = sum(len(b.points) for b in blocks)
        spans = " ".join(f"{b.function:02d}:{b.address:04X}+{b.count}" for b in blocks)
        registers = str(sum(b.count for b in blocks))
        table.add_row(device.id, device.connection, device.profile, str(points), spans, registers)
    console = Console()
    console.print(table)
    counts = {"devices": len(config.devices), "connections": len(config.connections)}
    console.print(say("config_good", **counts), markup=False)
    return 0
