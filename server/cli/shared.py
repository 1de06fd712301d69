"""What the commands share: how they speak, open things, and say who acts."""

import argparse
import getpass
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console
from rich.table import Table

from contract.errors import ConfigError, DeliveryError, Problem
from server.config import ServerConfig
from server.jobs.works import Works
from server.messages import say
from server.periods import Interval, midnight_ms
from server.site.model import Site

EXIT_FAILED, EXIT_CONFIG = 1, 2
WIDE = 200  # columns where nobody's terminal says otherwise


def tell(text: str) -> None:
    """Say something to the person at the terminal."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False)


def show(title: str, columns: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table on standard output."""
    table = Table(*columns.split("|"), title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else WIDE
    Console(highlight=False, width=width).print(table)


def add_command(
    commands: Any, name: str, text: str, example: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """Add a command with its help and an example."""
    sub: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, epilog=f"例 example: compound-server {example}"
    )
    sub.set_defaults(command=run)
    return sub


def add_config(sub: argparse.ArgumentParser) -> None:
    """Let a command take server.yaml."""
    sub.add_argument("--config", type=Path, required=True, metavar="server.yaml")


def add_author(sub: argparse.ArgumentParser) -> None:
    """Let a command say who acts, and why."""
    sub.add_argument("--reason", required=True, help="原因（写入审计） / why, for the audit log")
    sub.add_argument("--author", default=getpass.getuser(), help="经办人 / who acts")


def above_zero(text: str) -> float:
    """Give an option's number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"应为大于 0 的数 / expected a number > 0, got {text}")
    return value


def time_zone(text: str) -> ZoneInfo:
    """Give an option's time zone."""
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        said = f"应为时区名，如 Asia/Shanghai / expected an IANA time zone, got {text}"
        raise argparse.ArgumentTypeError(said) from error


def span_of(args: argparse.Namespace, site: Site) -> Interval:
    """Give the days [--from, --to); ConfigError when there is none, or none that a clock shows."""
    zone, first, last = site.zone, datetime(1970, 1, 2), datetime(2199, 12, 31)  # noqa: DTZ001 - days
    start, end = (t.replace(tzinfo=None) for t in (args.start, args.end))
    if not first <= start < end <= last:
        got = f"{start:%Y-%m-%d} to {end:%Y-%m-%d}"
        expected = "--from before --to, from 1970 to 2199"
        raise ConfigError([Problem("command line", "--from, --to", expected, got, "correct them")])
    return Interval(midnight_ms(args.start.date(), zone), midnight_ms(args.end.date(), zone))


def add_span(sub: argparse.ArgumentParser) -> None:
    """Let a command take --from and --to."""
    sub.add_argument("--from", dest="start", type=datetime.fromisoformat, required=True)
    sub.add_argument("--to", dest="end", type=datetime.fromisoformat, required=True)


def moment_ms(text: str, zone: ZoneInfo, option: str) -> int:
    """Give an instant of an option; a time without offset is the site's."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        problem = Problem(
            "command line", option, "a time such as 2026-03-02T08:00", text, "mend it"
        )
        raise ConfigError([problem]) from error
    return round((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1000)


def close(works: Works) -> None:
    """Release the store and the state."""
    works.store.close()
    works.state.close()


def ask(url: str, path: str, config: ServerConfig, query: Mapping[str, str | int]) -> Any:
    """Give a running server's answer; None, and told, when it refuses or does not answer."""
    token = config.console_token or config.write_tokens[0]
    try:
        answer = httpx.get(
            url.rstrip("/") + path, params=dict(query), timeout=120,
            headers={"Authorization": f"Token {token}"},
        )  # fmt: skip
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DeliveryError(f"{url}: {error}", permanent=False) from error
    if answer.status_code != httpx.codes.OK:
        message("server_said", status=answer.status_code, text=answer.text[:300])
        return None
    return answer.json()


def message(key: str, **values: object) -> None:
    """Say a text of the catalogue."""
    tell(say(key, **values))
