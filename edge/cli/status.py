"""status: how a running agent is."""

import argparse
import json
import sys
from typing import Any

from rich.console import Console

from edge.agent import read_config
from edge.cli.shared import add_command, add_config, tell
from edge.cli.status_tables import show
from edge.status import ask, socket_path


def add_status(commands: Any) -> None:
    """Add the command of this module."""
    text = "查看运行中的采集代理 / how the running agent is, without the server"
    sub = add_command(commands, "status", text, "status --config agent.yaml", _status)
    add_config(sub)
    sub.add_argument("--json", action="store_true", help="机器可读 / machine-readable")


def _status(args: argparse.Namespace) -> int:
    path = socket_path(read_config(args.config).outbox.path)
    try:
        status = ask(path)
    except PermissionError:
        tell("status_denied", path=path)
        return 1
    except OSError:
        tell("status_none", path=path)
        return 1
    if args.json:
        sys.stdout.write(json.dumps(status, ensure_ascii=False, indent=1) + "\n")
    else:
        show(status, Console())
    return 0
