"""run: the agent itself."""

import argparse
import asyncio
import gc
import os
import signal
import sys
import time
from typing import Any

from contract.errors import ConfigError
from edge.agent import Agent, read_config
from edge.apply import ConfigBook, begin, keep
from edge.cli.shared import add_command, add_config, tell
from edge.health import is_under_systemd

WRONG_CONFIG_WAIT_S = 60


def add_run(commands: Any) -> None:
    """Add the commands of this module."""
    text = "运行采集代理 / run the agent until it is told to stop"
    add_config(add_command(commands, "run", text, "run --config agent.yaml", _run))


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
        gc.freeze()  # what is there now stays: it need not be looked through again and again
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
