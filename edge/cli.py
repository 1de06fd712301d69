"""compound-edge: run the agent, check its configuration, read devices, list profiles."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from contract.clock import SystemClock, slot_of
from contract.errors import ConfigError
from contract.measurand import MEASURANDS
from contract.reading import Reading
from edge.agent import Agent, buses_of, read_config, unit_of
from edge.config import AgentConfig
from edge.health import outbox_values
from edge.messages import say
from edge.outbox import Bounds, Outbox
from edge.profile import DeviceProfile, all_profiles

EXIT_CONFIG = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 the devices or data say no, 2 the configuration is wrong."""
    args = _parser().parse_args(argv)
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
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print(say("config_bad"), markup=False)
        for p in error.problems:
            text = say("problem", file=p.file, at=p.key, expected=p.expected, got=p.got, fix=p.fix)
            console.print(text, markup=False)
        return EXIT_CONFIG


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="compound-edge", description="采集代理：读表、存盘、上送。 The edge agent."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, text: str, example: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=f"例 example: {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    for name, command, text in (
        ("run", _run, "运行采集代理 / run the agent until it is told to stop"),
        ("check", _check, "检查配置并打印读取计划 / check agent.yaml and print the plan"),
        ("read", _read, "读一次现场设备 / read the devices once"),
        ("outbox", _outbox, "查看待发队列 / show what waits to be sent"),
    ):
        sub = add(name, text, f"compound-edge {name} --config agent.yaml")
        sub.add_argument("--config", type=Path, required=True, metavar="agent.yaml")
        sub.set_defaults(command=command)
        if name == "read":
            sub.add_argument("--device", action="append", metavar="ID", help="only this device")
            sub.add_argument("--json", action="store_true", help="machine-readable")
    sub = add("profiles", "列出设备档案 / list device profiles", "compound-edge profiles --json")
    sub.add_argument("--json", action="store_true", help="every point of every profile")
    sub.add_argument("--write-index", type=Path, metavar="FOLDER", help="write index and schema")
    sub.set_defaults(command=_profiles)
    return parser


def _run(args: argparse.Namespace) -> int:
    agent_config = read_config(args.config)

    async def run() -> None:
        await Agent.build(agent_config).run()

    asyncio.run(run())
    return 0


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


def _read(args: argparse.Namespace) -> int:
    config = read_config(args.config)
    known = [d.id for d in config.devices]
    wanted = args.device or known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        text = say("no_device", name=", ".join(unknown), known=", ".join(known))
        Console(stderr=True).print(text, markup=False)
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


def _outbox(args: argparse.Namespace) -> int:
    config = read_config(args.config)
    outbox = Outbox(config.outbox.path, Bounds(config.outbox.max_bytes, 2**62))
    values = {k.removeprefix("outbox_"): int(v) for k, v in outbox_values(outbox).items()}
    Console().print(say("outbox_status", **values), markup=False)
    outbox.close()
    return 0


def _profiles(args: argparse.Namespace) -> int:
    profiles = all_profiles()
    if args.write_index is not None:
        from edge.profile.index import write_index

        write_index(args.write_index, profiles)
    rows = [row for p in profiles for row in _point_rows(p)]
    if args.json:
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
        return 0
    table = Table("档案 profile", "名称 title", "测点 points", "证据 evidence")
    for p in profiles:
        table.add_row(p.ref, p.title, str(len(p.points)), p.evidence)
    Console().print(table)
    return 0


def _point_rows(profile: DeviceProfile) -> list[dict[str, object]]:
    return [
        {
            "maker": profile.maker,
            "model": profile.model,
            "variant": profile.variant,
            "protocol": profile.protocol.value,
            "measurand": p.measurand,
            "function": p.function or None,
            "address": p.address if p.function else None,
            "type": p.type or None,
            "word_order": None
            if not p.type
            else "big"
            if p.order in {"ABCD", "BADC"}
            else "little",
            "byte_order": None
            if not p.type
            else "big"
            if p.order in {"ABCD", "CDAB"}
            else "little",
            "scale_to_canonical": p.scale_to_canonical,
            "unit": p.canonical_unit,
            "basis": p.basis.value,
            "node": p.node or None,
        }
        for p in profile.points
    ]
