"""run, status: the agent itself, and how a running agent is."""

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
import time
from typing import Any

from rich.console import Console

from contract.errors import ConfigError
from edge.agent import Agent, read_config
from edge.apply import ConfigBook, begin, keep
from edge.cli.shared import add_command, add_config, tell
from edge.cli.status_tables import show
from edge.health import is_under_systemd
from edge.status import ask, socket_path

WRONG_CONFIG_WAIT_S = 60
GC_THRESHOLDS = 20_000, 20, 20  # a twentieth of the processor time for garbage there is not


def add_run(commands: Any) -> None:
    """Add the commands of this module."""
    text = "运行采集代理 / run the agent until it is told to stop"
    add_config(add_command(commands, "run", text, "run --config agent.yaml", _run))
    text = "查看运行中的采集代理 / how the running agent is, without the server"
    sub = add_command(commands, "status", text, "status --config agent.yaml", _status)
    add_config(sub)
    sub.add_argument("--json", action="store_true", help="机器可读 / machine-readable")


def _run(args: argparse.Namespace) -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the agent listens: it looks by itself
    book = ConfigBook(args.config)
    try:
        config = begin(book, read_config)
    except ConfigError:
        if is_under_systemd():
            _wait_for_change(book)
        raise
    keep(book)

    async def run() -> bool:
        agent = Agent.build(config, configs=book)
        gc.freeze()  # what is there now stays; what a round makes is freed by its counts
        gc.set_threshold(*GC_THRESHOLDS)
        await agent.run()
        return agent.is_again

    if asyncio.run(run()):
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same again
    return 0


def _wait_for_change(book: ConfigBook) -> None:
    """Let a wrong file be told once a minute instead of at every restart, or when it is changed."""
    tell("config_waits", path=book.path, s=WRONG_CONFIG_WAIT_S)
    before = book.hash()
    for _ in range(WRONG_CONFIG_WAIT_S):
        if book.hash() != before:
            return
        time.sleep(1)


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
