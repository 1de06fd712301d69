"""scan: which devices answer on a line, and which profile fits each."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edge.cli.shared import add_command, tell
from edge.cli.targets import (
    EXIT_NO,
    guarded,
    new_file,
    output,
    progress_console,
    refuse_taken,
)
from edge.commission.ports import running_agents, serial_ports
from edge.commission.scan import Found, Scan
from edge.commission.show import found_view, ports_table
from edge.commission.snippet import agent_yaml
from edge.commission.target import same_place, serial_connection, tcp_connection, wrong
from edge.config import Connection, ModbusRtu
from edge.messages import say
from edge.profile import Protocol, all_profiles

BAUDS, PARITIES, UNITS = "9600,2400,19200,4800", "N,E", "1-32"
SERIAL_TIMEOUT_S, TCP_TIMEOUT_S = 0.35, 0.6
FRAME_BITS = 11 * 24  # request and answer of a probe, with room for the device's own delay


def add_scan(commands: Any) -> None:
    """Add `scan`."""
    text = "扫描总线：找出设备、线路参数和合适的档案 / find devices, line settings and profiles"
    example = (
        "scan                              # 列出串口 / list serial ports\n"
        "            compound-edge scan --port /dev/serial/by-id/usb-…\n"
        "            compound-edge scan --tcp 192.168.1.20 --units 1-16 --write agent.yaml"
    )
    sub = add_command(commands, "scan", text, example, guarded(_scan))
    sub.add_argument("--port", action="append", metavar="/dev/…", help="串口，可多次 / repeatable")
    sub.add_argument("--tcp", action="append", metavar="HOST[:PORT]", help="Modbus TCP")
    sub.add_argument("--rtu-tcp", action="append", metavar="HOST:PORT", help="串口服务器 / gateway")
    sub.add_argument("--baud", default=BAUDS, metavar="N,N", help=f"波特率 / baud ({BAUDS})")
    sub.add_argument("--parity", default=PARITIES, metavar="N,E", help="校验 / parity (N,E)")
    sub.add_argument("--units", default=UNITS, metavar="A-B", help=f"站号 / unit ids ({UNITS})")
    sub.add_argument("--timeout", type=float, metavar="S", help="每站等待秒数 / wait per unit")
    sub.add_argument(
        "--thorough", action="store_true", help="试完所有参数 / try every setting, both functions"
    )
    sub.add_argument("--write", type=Path, metavar="FILE", help="写出 agent.yaml / write it")
    sub.add_argument("--json", action="store_true", help="机器可读 / machine-readable")


def _scan(args: argparse.Namespace) -> int:
    new_file(args.write)
    units = numbers("--units", args.units, 1, 247)
    lines = _lines(args)
    if not lines:
        return _list_ports(as_json=args.json)
    for settings in lines:
        refuse_taken(settings[0])
    scan = Scan()
    interrupted = _run(scan, lines, units, thorough=args.thorough)
    _show(scan, args)
    if interrupted:
        tell("scan_interrupted")
    return 0 if scan.found and not interrupted else EXIT_NO


def _run(
    scan: Scan, lines: Sequence[Sequence[Connection]], units: Sequence[int], *, thorough: bool
) -> bool:
    """Scan with a progress bar on a terminal; True when Ctrl-C ended it."""
    profiles = [p for p in all_profiles() if p.protocol is Protocol.MODBUS]
    console = progress_console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn(say("scan_left")),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("…", total=None)

        def step(done: int, total: int, text: str) -> None:
            place = same_place(scan.tried[-1]) if scan.tried else ""
            shown = say("scan_step", place=place, text=text, found=len(scan.found))
            progress.update(task, completed=done, total=total, description=shown)

        scan.on_step = step
        try:
            asyncio.run(scan.run(lines, units, profiles, thorough=thorough))
        except KeyboardInterrupt:
            return True
    return False


def _lines(args: argparse.Namespace) -> list[list[Connection]]:
    out: list[list[Connection]] = []
    bauds = numbers("--baud", args.baud, 300, 921_600)
    parities = [p.strip().upper() for p in args.parity.split(",")]
    if not parities or set(parities) - set("NEO"):
        raise wrong("--parity", "N, E, O", args.parity, "--parity N,E")
    if args.timeout is not None and not 0 < args.timeout <= 60:
        raise wrong("--timeout", "0-60 s", args.timeout, "--timeout 0.5")
    for number, port in enumerate(args.port or (), 1):
        settings = [(b, p) for b in bauds for p in parities]
        out.append([
            serial_connection(
                port, b, p, 1, args.timeout or SERIAL_TIMEOUT_S + FRAME_BITS / b, f"bus{number}"
            )
            for b, p in settings
        ])  # fmt: skip
    timeout_s = args.timeout or TCP_TIMEOUT_S
    out += [[tcp_connection(text, timeout_s, rtu=False)] for text in args.tcp or ()]
    out += [[tcp_connection(text, timeout_s, rtu=True)] for text in args.rtu_tcp or ()]
    return out


def numbers(key: str, text: str, low: int, high: int) -> list[int]:
    """Read "1-16,20" as numbers within bounds, each once, in order.  ConfigError."""
    out: dict[int, None] = {}
    for piece in text.split(","):
        first, dash, last = piece.strip().partition("-")
        ends = (first, last if dash else first)
        if not all(e.isascii() and e.isdigit() for e in ends):
            raise wrong(key, f"{low}-{high}", text, f"{key} 1-16,20")
        start, end = int(ends[0]), int(ends[1])
        if not low <= start <= end <= high:
            raise wrong(key, f"{low}-{high}", text, f"{key} 1-16,20")
        out.update(dict.fromkeys(range(start, end + 1)))
    return list(out)


def _list_ports(*, as_json: bool) -> int:
    ports = serial_ports()
    if as_json:
        rows = [{"path": p.path, "device": p.device, "title": p.title} for p in ports]
        sys.stdout.write(json.dumps(rows, ensure_ascii=False) + "\n")
    elif ports:
        console = output()
        console.print(ports_table(ports))
        console.print(say("ports_next", port=ports[0].path), markup=False)
    else:
        tell("ports_none")
    return 0 if ports else EXIT_NO


def _show(scan: Scan, args: argparse.Namespace) -> None:
    if args.json:
        sys.stdout.write(json.dumps(_as_dict(scan), ensure_ascii=False, indent=1) + "\n")
    elif scan.found:
        console = output()
        console.print(found_view(scan.found))
        console.print(say("scan_snippet"), markup=False)
        console.print(agent_yaml(scan.found), markup=False, soft_wrap=True)
    if args.write is not None and scan.found:
        args.write.write_text(agent_yaml(scan.found, whole=True), "utf-8")
        tell("written", path=args.write)
    for connection in scan.garbled:
        tell("scan_garbled", place=same_place(connection))
    if not scan.found:
        _say_what_to_check(scan)


def _say_what_to_check(scan: Scan) -> None:
    if len(scan.unopened) == len(scan.tried) > 0:
        tell("scan_unopened", places=", ".join(_places(scan.unopened)))
        return
    is_serial = any(isinstance(c, ModbusRtu) for c in scan.tried)
    tell("scan_nothing", tried=len(scan.tried))
    tell("scan_check_serial" if is_serial else "scan_check_tcp")
    agents = running_agents()
    if agents:
        tell("agent_runs", pids=", ".join(map(str, agents)))


def _places(connections: Iterable[Connection]) -> list[str]:
    return list(dict.fromkeys(same_place(c) for c in connections))


def _as_dict(scan: Scan) -> dict[str, object]:
    return {
        "found": [_found_dict(f) for f in scan.found],
        "garbled": _places(scan.garbled),
        "not_opened": _places(scan.unopened),
        "tried": _places(scan.tried),
    }


def _found_dict(found: Found) -> dict[str, object]:
    return {
        "line": found.connection.model_dump(exclude={"id"}),
        "unit": found.unit,
        "any_unit": found.any_unit,
        "exception": found.answer.exception or None,
        "words": list(found.answer.words),
        "profile": found.best.ref if found.best else None,
        "fits": [
            {
                "profile": f.ref, "share": round(f.share, 3), "weight": round(f.weight, 2),
                "proposed": f.is_proposed, "for": list(f.reasons), "against": list(f.against),
            }
            for f in found.fits
        ],
    }  # fmt: skip
