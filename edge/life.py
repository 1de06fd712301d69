"""Life: what an agent needs where nobody looks after it: host, card, configuration, log."""

import os
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edge.apply import ConfigBook, Validate
from edge.config import AgentConfig
from edge.fleet import Fleet
from edge.host import Flash, host_values, is_time_synchronised
from edge.log import LIMITER, Limiter

_DISTRIBUTION = "compound-energy"


@dataclass(slots=True)
class Life:
    """The unattended side of a running agent; `book` is None where no agent.yaml is kept."""

    config: AgentConfig
    flash: Flash
    book: ConfigBook | None = None
    fleet: Fleet | None = None
    limiter: Limiter = field(default=LIMITER)

    @classmethod
    def of(
        cls, config: AgentConfig, token: str, now_s: float, book: ConfigBook | None, read: Validate
    ) -> "Life":
        """Give the life of an agent that begins now."""
        asks = config.fleet is not None and book is not None
        fleet = Fleet(config, token, book, read) if asks and book is not None else None
        return cls(config, Flash(config.outbox.path, now_s), book, fleet)

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
