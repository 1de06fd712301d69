"""Life: what an agent needs where nobody looks after it: host, card, configuration, log."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import structlog

from contract.clock import Clock
from contract.errors import ConfigError
from edge.apply import ConfigBook, Validate, watch
from edge.config import AgentConfig
from edge.fleet import Fleet, run_fleet
from edge.host import Flash, host_values, is_time_synchronised
from edge.log import LIMITER, Limiter
from edge.poller import Bus

_LOOK_S = 10.0
log = structlog.get_logger()
_DISTRIBUTION = "compound-energy"


@dataclass(slots=True)
class Life:
    """The unattended side of a running agent; `book` is None where no agent.yaml is kept."""

    config: AgentConfig
    flash: Flash
    book: ConfigBook | None = None
    fleet: Fleet | None = None
    read: Validate | None = None
    limiter: Limiter = field(default=LIMITER)
    reload: asyncio.Event = field(default_factory=asyncio.Event)  # somebody asks to read it anew

    @classmethod
    def of(
        cls, config: AgentConfig, token: str, now_s: float, book: ConfigBook | None, read: Validate
    ) -> "Life":
        """Give the life of an agent that begins now."""
        asks = config.fleet is not None and book is not None
        fleet = Fleet(config, token, book, read) if asks and book is not None else None
        return cls(config, Flash(config.outbox.path, now_s), book, fleet, read)

    def loops(
        self, buses: Sequence[Bus], clock: Clock, again: Callable[[], None]
    ) -> dict[str, Callable[[], Awaitable[None]]]:
        """Give the loops that change the configuration; `again` starts the agent anew with it."""
        loops: dict[str, Callable[[], Awaitable[None]]] = {}
        if self.book is not None and self.read is not None:
            loops["reload"] = partial(self._reloads, self.book, self.read, again)
            loops["trial"] = partial(self._trials, self.book, buses, clock, again)
        if self.fleet is not None:
            loops["fleet"] = partial(run_fleet, self.fleet, again)
        return loops

    async def _reloads(self, book: ConfigBook, read: Validate, again: Callable[[], None]) -> None:
        """Start again with what agent.yaml says now when asked, unless it is wrong."""
        while True:
            await self.reload.wait()
            self.reload.clear()
            try:
                await asyncio.to_thread(read, book.path, book.path.parent)
            except ConfigError as error:
                log.error("config_refused", why=str(error.problems[0]))
            else:
                again()

    @staticmethod
    async def _trials(
        book: ConfigBook, buses: Sequence[Bus], clock: Clock, again: Callable[[], None]
    ) -> None:
        """Judge the configuration that runs, if it is on trial; look for one that is put on trial.

        Whoever puts one there also sends a signal, which may be lost or not allowed.
        """
        while True:
            is_ours = book.hash() == book.loaded
            if book.trial() is not None and (not is_ours or await watch(book, buses, clock)):
                again()
            await asyncio.sleep(_LOOK_S)

    def note(self, now_s: float) -> None:
        """Do what is due now and then: count what was written, tell what the log held back."""
        self.flash.note(now_s)
        self.limiter.tell()

    def values(self) -> dict[str, float]:
        """Give the agent's points of host, card, version and configuration, by measurand."""
        return {
            **host_values(self.config.outbox.path),
            **self.flash.values(),
            **version_values(),
            **self._config_values(),
        }

    def status(self, now_s: float) -> dict[str, Any]:
        """Give the same as plain data for a person; None where nothing is known."""
        return {
            "pid": os.getpid(),
            "software": software_version(),
            "flash_mb_per_day": self.flash.mb_per_day(now_s),
            "time_synchronised": is_time_synchronised(),
            "config": self._config_status(),
            "errors": self.limiter.newest(),
        }

    def _config_values(self) -> dict[str, float]:
        present = self.book.hash() if self.book else None
        serial = self.book.serial() if self.book else None
        found = {
            "config_hash": None if present is None else float(int(present, 16)),
            "config_serial": None if serial is None else float(serial),
        }
        return {name: value for name, value in found.items() if value is not None}

    def _config_status(self) -> dict[str, Any] | None:
        if self.book is None:
            return None
        trial, told = self.book.trial(), self.book.outcome()
        return {
            "path": str(self.book.path),
            "hash": self.book.hash(),
            "serial": self.book.serial(),
            "trial": None if trial is None else asdict(trial),
            "outcome": None if told is None else asdict(told),
            "fleet": self.fleet is not None,
        }


@cache
def software_version() -> str | None:
    """Give the installed version, such as 1.2.3; None when it is not installed."""
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return None


def version_values() -> dict[str, float]:
    """Give `agent_version` as major * 1_000_000 + minor * 1_000 + patch, where it is known."""
    parts = (software_version() or "").split(".")[:3]
    if len(parts) < 3 or not all(p.isdigit() for p in parts):
        return {}
    major, minor, patch = map(int, parts)
    return {"agent_version": major * 1_000_000.0 + minor * 1_000 + patch}
