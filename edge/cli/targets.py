"""What the commissioning commands share: which device they speak to, and how they end."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from contract.errors import DeviceError
from contract.reading import Reason
from edge.cli.shared import tell
from edge.commission.ports import holders, running_agents, trouble
from edge.commission.show import WIDTH
from edge.commission.target import (
    Target,
    configured_target,
    ratio,
    serial_connection,
    tcp_connection,
    wrong,
)
from edge.config import Connection, ModbusRtu
from edge.decode import Source
from edge.messages import say
from edge.profile import DeviceProfile, find_profile

EXIT_NO = 1
TIMEOUT_S = 1.0
Run = Callable[[argparse.Namespace], int]


def add_target(sub: argparse.ArgumentParser, *, with_profile: bool = True) -> None:
    """Let a command take a device: of agent.yaml, or by line and unit id."""
    by_file = sub.add_argument_group("agent.yaml 里的设备 / a device of agent.yaml")
    by_file.add_argument("--config", type=Path, metavar="agent.yaml")
    by_file.add_argument("--device", metavar="ID", help="设备代号 / its id")
    by_line = sub.add_argument_group("或直接写明线路 / or its line")
    add_lines(by_line)
    by_line.add_argument("--baud", type=int, default=9600, metavar="N", help="9600")
    by_line.add_argument("--parity", choices="NEO", default="N", help="N 无 E 偶 O 奇")
    by_line.add_argument("--stopbits", type=int, choices=(1, 2), default=1)
    if with_profile:
        by_line.add_argument("--unit", type=_unit, default=1, metavar="N", help="站号 / unit id")
        by_line.add_argument("--profile", metavar="MAKER/MODEL", help="设备档案 / device profile")
    by_line.add_argument("--ct-ratio", metavar="K", help="电流变比，如 40 或 200/5 / CT ratio")
    by_line.add_argument("--pt-ratio", metavar="K", help="电压变比 / PT ratio")
    by_line.add_argument("--timeout", type=float, default=TIMEOUT_S, metavar="S", help="秒")


def add_lines(group: Any) -> None:
    """Let a command take one line."""
    group.add_argument("--port", metavar="/dev/serial/by-id/…", help="串口 / serial port")
    group.add_argument("--tcp", metavar="HOST[:PORT]", help="Modbus TCP")
    group.add_argument("--rtu-tcp", metavar="HOST:PORT", help="串口服务器透传 / RTU over TCP")


def _unit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 247:
        raise argparse.ArgumentTypeError(f"站号应为 1–247 / unit id 1-247, got {text!r}")
    return int(text)


def target_of(args: argparse.Namespace, unit: int | None = None) -> Target:
    """Give the device a command was told to speak to; ConfigError when that is not clear."""
    if args.config is not None:
        target = configured_target(args.config, args.device)
    else:
        ct, pt = ratio("--ct-ratio", args.ct_ratio), ratio("--pt-ratio", args.pt_ratio)
        ref, number = getattr(args, "profile", None), unit if unit is not None else int(args.unit)
        profile = find_profile(ref) if ref else None
        source = Source("site", f"unit{number}", ct, pt)
        target = Target(source.device, connection_of(args), number, source, profile)
    refuse_taken(target.connection)
    return target


def profile_of(target: Target) -> DeviceProfile:
    """Give a target's profile; ConfigError when none was named."""
    if target.profile is None:
        raise wrong("--profile", "MAKER/MODEL", "nothing", "compound-edge profiles / scan")
    return target.profile


def connection_of(args: argparse.Namespace) -> Connection:
    """Give the connection of --port, --tcp or --rtu-tcp; exactly one of them."""
    given = [k for k in ("port", "tcp", "rtu_tcp") if getattr(args, k)]
    if len(given) != 1:
        got = " ".join(f"--{k.replace('_', '-')}" for k in given) or "nothing"
        raise wrong("--port / --tcp / --rtu-tcp", "one of them", got, "--tcp 192.168.1.20:502")
    if not 0 < args.timeout <= 60:
        raise wrong("--timeout", "0-60 s", args.timeout, "--timeout 1")
    if args.port:
        if not 300 <= args.baud <= 921_600:
            raise wrong("--baud", "300-921600", args.baud, "--baud 9600")
        return serial_connection(args.port, args.baud, args.parity, args.stopbits, args.timeout)
    text = args.tcp or args.rtu_tcp
    return tcp_connection(text, args.timeout, rtu=bool(args.rtu_tcp))


def refuse_taken(connection: Connection) -> None:
    """Stop before a port that is missing, forbidden (ConfigError) or taken (DeviceError)."""
    if not isinstance(connection, ModbusRtu):
        return
    port = connection.device
    match trouble(port):
        case "missing":
            raise wrong(port, "一个串口 a serial port", "没有 none", "compound-edge scan")
        case "forbidden":
            raise wrong(port, "读写权限 access", "无权限 none", "sudo usermod -aG dialout $USER")
        case "strange":
            raise wrong(port, "一个串口 a serial port", "打不开 not one", "compound-edge scan")
        case "busy":
            users = "、".join(f"{name} (pid {pid})" for pid, name in holders(port))
            raise DeviceError(Reason.REFUSED, say("port_taken", port=port, users=users or "?"))
        case _:
            return


def guarded(run: Run) -> Run:
    """Give a command that ends well on Ctrl-C, on a taken port and on a reader that has left."""

    def guard(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except KeyboardInterrupt:
            tell("stopped")
            return EXIT_NO
        except DeviceError as error:
            tell("line_failed", detail=error.detail or error.reason.name.lower())
            return EXIT_NO
        except BrokenPipeError:  # `| head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_NO

    return guard


def output() -> Console:
    """Give the console for results: at most the terminal's width, 80 columns in a file."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def progress_console() -> Console:
    """Give the console for progress: standard error, so that results can be piped."""
    return Console(stderr=True, highlight=False)


def new_file(path: Path | None, key: str = "--write") -> None:
    """Refuse to overwrite a file, or to write where no folder is, before any work is done."""
    if path is None:
        return
    if path.exists():
        raise wrong(key, "新文件 a new file", f"{path} 已存在 exists", "换个名字 another name")
    if not path.parent.is_dir():
        raise wrong(key, "已有的文件夹 a folder", f"{path.parent}", "mkdir")


def silence(target: Target) -> None:
    """Tell what to check when a device has not answered at all."""
    tell("silent_device", unit=target.unit)
    agents = running_agents()
    if agents:
        tell("agent_runs", pids=", ".join(map(str, agents)))
