"""read: what the devices show at this moment."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from contract.clock import SystemClock, slot_of
from contract.measurand import MEASURANDS
from contract.reading import Reading
from edge.agent import buses_of, read_config
from edge.cli.shared import EXIT_CONFIG, add_command, add_config, tell
from edge.config import AgentConfig
from edge.messages import say


def add_read(commands: Any) -> None:
    """Add the commands of this module."""
    text = "读一次现场设备 / read the devices once"
    sub = add_command(commands, "read", text, "read --config agent.yaml --device E01", _read)
    add_config(sub)
    sub.add_argument("--device", action="append", metavar="ID", help="只读这台 / only this device")
    sub.add_argument("--json", action="store_true", help="机器可读 / machine-readable")


def _read(args: argparse.Namespace) -> int:
    config = read_config(args.config)
    known = [d.id for d in config.devices]
    wanted = args.device or known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        tell("no_device", name=", ".join(unknown), known=", ".join(known))
        return EXIT_CONFIG
    readings = asyncio.run(_read_once(config, set(wanted)))
    if args.json:
        sys.stdout.write(json.dumps([_as_dict(r) for r in readings], ensure_ascii=False) + "\n")
    else:
        Console().print(_readings_table(readings))
    return 0 if all(r.value is not None for r in readings) else 1


async def _read_once(config: AgentConfig, wanted: set[str]) -> list[Reading]:
    clock = SystemClock()
    slot_ms = slot_of(clock.now_ms(), 1000)
    readings: list[Reading] = []
    for bus in buses_of(config):
        bus.units = [u for u in bus.units if u.source.device in wanted]
        if bus.units:
            readings += await bus.poll_round(slot_ms, clock)
        await bus.driver.close()
    return readings


def _as_dict(r: Reading) -> dict[str, object]:
    return {
        "device": r.point.device,
        "measurand": r.point.measurand,
        "time_ms": r.time_ms,
        "value": r.value,
        "unit": MEASURANDS[r.point.measurand].unit,
        "quality": r.reason.name.lower(),
        "lag_s": r.lag_s,
    }


def _readings_table(readings: Sequence[Reading]) -> Table:
    table = Table(*say("read_columns").split("|"), title=say("read_title"))
    for r in readings:
        m = MEASURANDS[r.point.measurand]
        value = (
            "—"
            if r.value is None
            else f"{r.value:,.6g}"
            if m.kind != "counter"
            else f"{r.value:,.3f}"
        )
        table.add_row(
            r.point.device, f"{m.label_zh} {m.name}", value, m.unit, r.reason.name.lower()
        )
    return table
