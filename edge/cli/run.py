"""run, outbox: the agent itself, and what waits to be sent."""

import argparse
import asyncio
from typing import Any

from rich.console import Console

from edge.agent import Agent, read_config
from edge.cli.shared import add_command, add_config
from edge.health import outbox_values
from edge.messages import say
from edge.outbox import Bounds, Outbox


def add_run(commands: Any) -> None:
    """Add the commands of this module."""
    for name, run, text in (
        ("run", _run, "运行采集代理 / run the agent until it is told to stop"),
        ("outbox", _outbox, "查看待发队列 / show what waits to be sent"),
    ):
        add_config(add_command(commands, name, text, f"{name} --config agent.yaml", run))


def _run(args: argparse.Namespace) -> int:
    agent_config = read_config(args.config)

    async def run() -> None:
        await Agent.build(agent_config).run()

    asyncio.run(run())
    return 0


def _outbox(args: argparse.Namespace) -> int:
    config = read_config(args.config)
    outbox = Outbox(config.outbox.path, Bounds(config.outbox.max_bytes, 2**62))
    values = {k.removeprefix("outbox_"): int(v) for k, v in outbox_values(outbox).items()}
    Console().print(say("outbox_status", **values), markup=False)
    outbox.close()
    return 0
