"""compound-edge: one command line, a module for each group of commands."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from contract.errors import ConfigError
from edge.cli.shared import EXIT_CONFIG, tell
from edge.log import configure

__all__ = ["GROUPS", "main", "parser_of"]

# the commands of each module: an agent that runs for years need not hold what others use
GROUPS: Mapping[str, frozenset[str]] = {
    "run": frozenset({"run"}),
    "status": frozenset({"status"}),
    "outbox": frozenset({"outbox"}),
    "check": frozenset({"check"}),
    "doctor": frozenset({"doctor"}),
    "apply": frozenset({"apply"}),
    "read": frozenset({"read"}),
    "profiles": frozenset({"profiles"}),
    "commission": frozenset({"scan", "probe", "solve", "record", "accept"}),
}


def parser_of(command: str = "") -> argparse.ArgumentParser:
    """Give the command line: of every command, or of the group that a command belongs to."""
    parser = argparse.ArgumentParser(
        prog="compound-edge",
        description="采集代理：读表、存盘、上送。 The edge agent.",
        epilog="例 example: compound-edge check --config agent.yaml",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    wanted = [g for g, names in GROUPS.items() if command in names] or list(GROUPS)
    for group in wanted:
        getattr(import_module(f"edge.cli.{group}"), f"add_{group}")(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 the devices or data say no, 2 the configuration is wrong."""
    words = sys.argv[1:] if argv is None else argv
    args = parser_of(words[0] if words else "").parse_args(words)
    configure(sys.__stderr__)
    try:
        return int(args.command(args))
    except ConfigError as error:
        tell("config_bad")
        for p in error.problems:
            tell("problem", file=p.file, at=p.key, expected=p.expected, got=p.got, fix=p.fix)
        return EXIT_CONFIG
