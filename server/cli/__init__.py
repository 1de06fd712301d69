"""compound-server: one command line, a module for each group of commands."""

import argparse
import logging
import sys
from collections.abc import Sequence

import structlog

from contract.errors import ConfigError, DeliveryError
from server.cli.agents import add_agents
from server.cli.books import add_books
from server.cli.delivery import add_delivery
from server.cli.run import add_run
from server.cli.shared import EXIT_CONFIG, EXIT_FAILED, message
from server.cli.site import add_site
from server.cli.tools import add_tools

__all__ = ["main", "parser_of"]


def parser_of() -> argparse.ArgumentParser:
    """Give the command line."""
    parser = argparse.ArgumentParser(
        prog="compound-server", description="大院能源服务端 / the server of compound energy",
        epilog="例 example: compound-server serve --config server.yaml",
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_run, add_site, add_books, add_delivery, add_agents, add_tools):
        add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 it could not be done, 2 the input is wrong."""
    args = parser_of().parse_args(argv)
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
