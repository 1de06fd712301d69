"""What the commands share: how they are declared, and how they speak."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from edge.messages import say

EXIT_CONFIG = 2


def tell(key: str, **values: object) -> None:
    """Say a text of the catalogue on standard error."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(say(key, **values), markup=False)


def add_command(
    commands: Any, name: str, text: str, example: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """Add a command with its help and an example."""
    sub: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=f"例 example: compound-edge {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.set_defaults(command=run)
    return sub


def add_config(sub: argparse.ArgumentParser) -> None:
    """Let a command take agent.yaml."""
    sub.add_argument("--config", type=Path, required=True, metavar="agent.yaml")
