"""compound-edge: one command line, a module for each group of commands."""

import argparse
import sys
from collections.abc import Sequence

from contract.errors import ConfigError
from edge.cli.apply import add_apply
from edge.cli.check import add_check
from edge.cli.commission import add_commission
from edge.cli.doctor import add_doctor
from edge.cli.outbox import add_outbox
from edge.cli.profiles import add_profiles
from edge.cli.read import add_read
from edge.cli.run import add_run
from edge.cli.shared import EXIT_CONFIG, tell
from edge.log import configure

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 the devices or data say no, 2 the configuration is wrong."""
    parser = argparse.ArgumentParser(
        prog="compound-edge",
        description="采集代理：读表、存盘、上送。 The edge agent.",
        epilog="例 example: compound-edge check --config agent.yaml",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    groups = (
        add_run, add_outbox, add_check, add_doctor, add_apply, add_read, add_profiles,
        add_commission,
    )  # fmt: skip
    for add in groups:
        add(commands)
    args = parser.parse_args(argv)
    configure(sys.__stderr__)
    try:
        return int(args.command(args))
    except ConfigError as error:
        tell("config_bad")
        for p in error.problems:
            tell("problem", file=p.file, at=p.key, expected=p.expected, got=p.got, fix=p.fix)
        return EXIT_CONFIG
