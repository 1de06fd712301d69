"""compound-server: one command line, a module for each group of commands."""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import structlog

from contract.errors import ConfigError, DeliveryError
from server.cli.shared import EXIT_CONFIG, EXIT_FAILED, message

__all__ = ["GROUPS", "main", "parser_of"]

# the commands of each module: a server that starts again need not load what others use
GROUPS: Mapping[str, frozenset[str]] = {
    "run": frozenset({"serve", "backfill", "report"}),
    "site": frozenset({"site"}),
    "books": frozenset({"repair", "balance", "period", "changes", "audit", "delete"}),
    "delivery": frozenset({"delivery"}),
    "agents": frozenset({"agents"}),
    "alerts": frozenset({"alerts"}),
    "notify": frozenset({"notify"}),
    "rules": frozenset({"rules"}),
    "tools": frozenset({"influx-init", "consumption", "grafana-push"}),
}


def parser_of(command: str = "") -> argparse.ArgumentParser:
    """Give the command line: of every command, or of the group that a command belongs to."""
    parser = argparse.ArgumentParser(
        prog="compound-server", description="大院能源服务端 / the server of compound energy",
        epilog="例 example: compound-server serve --config server.yaml",
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    wanted = [g for g, names in GROUPS.items() if command in names] or list(GROUPS)
    for group in wanted:
        getattr(import_module(f"server.cli.{group}"), f"add_{group}")(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 it could not be done, 2 the input is wrong."""
    words = sys.argv[1:] if argv is None else argv
    args = parser_of(words[0] if words else "").parse_args(words)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
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
        message("config_bad")
        for p in error.problems:
            message("problem", file=p.file, at=p.key, expected=p.expected, got=p.got, fix=p.fix)
        return EXIT_CONFIG
    except OSError as error:  # a file named on the command line that cannot be read or written
        message("file_bad", path=error.filename or "?", error=error.strerror or error)
        return EXIT_CONFIG
    except DeliveryError as error:
        message("failed", error=error)
        return EXIT_FAILED
