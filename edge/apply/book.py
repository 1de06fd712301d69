"""The book of configurations, a folder beside agent.yaml: backups, the last good one, the trial.

    agent.yaml.history/0001-<hash>.yaml   what was in force, the newest ten
    agent.yaml.history/last-good.yaml     what to return to
    agent.yaml.history/last-good.json     its fingerprint and the server's serial
    agent.yaml.history/trial.json         there while a new one is tried, and after a power cut
    agent.yaml.history/outcome.json       how the newest change ended

The order of writes makes every cut harmless: the trial is written before the switch and removed
after its outcome, so that whoever starts next sees what was meant.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from contract.clock import Clock, SystemClock
from edge.apply.durable import remove_durably, write_durably

KEPT = 10
_HASH_DIGITS = 12


class State(StrEnum):
    """How far a change of configuration has come."""

    STAGED = "staged"
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled_back"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Trial:
    """A configuration that is being tried; `starts` counts the agent's starts with it."""

    hash: str
    within_s: float
    by: str
    serial: int | None = None
    starts: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the newest change went; `hash` is of the configuration that was asked for."""

    state: State
    detail: str
    hash: str
    serial: int | None
    at_ms: int


def config_hash(content: bytes) -> str:
    """Give the first 12 hex digits of the SHA-256 of a configuration's bytes."""
    return hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]


class ConfigBook:
    """Keeps the configurations of one agent.yaml.  Not thread-safe; OSError from the disk."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self.path = Path(os.path.realpath(path))
        self.folder = self.path.with_name(f"{self.path.name}.history")
        self.last_good = self.folder / "last-good.yaml"
        self._trial, self._outcome = self.folder / "trial.json", self.folder / "outcome.json"
        self._good = self.folder / "last-good.json"
        self.loaded: str | None = None  # the fingerprint of what the agent runs
        self._clock = clock or SystemClock()

    def hash(self) -> str | None:
        """Give the fingerprint of the file in force; None if it cannot be read."""
        try:
            return config_hash(self.path.read_bytes())
        except OSError:
            return None

    def trial(self) -> Trial | None:
        """Give the trial that is on; None when there is none."""
        try:
            return Trial(**json.loads(self._trial.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def outcome(self) -> Outcome | None:
        """Give how the newest change went; None before the first."""
        try:
            row = json.loads(self._outcome.read_text("utf-8"))
            return Outcome(**{**row, "state": State(row["state"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def serial(self) -> int | None:
        """Give the server's serial of the file in force; None where it is not the server's."""
        present, told = self.hash(), self.outcome()
        if told is not None and told.hash == present and told.state is not State.REFUSED:
            return told.serial
        try:
            name, serial = json.loads(self._good.read_text("utf-8"))
        except (OSError, ValueError, TypeError):
            return None
        return int(serial) if name == present and serial is not None else None

    def backups(self) -> list[Path]:
        """Give what was in force, oldest first."""
        return sorted(self.folder.glob("[0-9][0-9][0-9][0-9]*-*.yaml"), key=_number)

    def keep(self) -> bool:
        """Back the file in force up if it is not the newest backup; say whether it was."""
        content, backups = self.path.read_bytes(), self.backups()
        name = config_hash(content)
        if backups and backups[-1].stem.endswith(name):
            return False
        number = _number(backups[-1]) + 1 if backups else 1
        self._write(self.folder / f"{number:04d}-{name}.yaml", content)
        for old in self.backups()[:-KEPT]:
            old.unlink(missing_ok=True)
        return True

    def switch(self, content: bytes, trial: Trial, *, from_good: bool) -> None:
        """Put a new configuration in force, on trial.

        `from_good` says that the present one is to be returned to.
        """
        if self.path.exists():
            self.keep()
            if from_good or not self.last_good.exists():
                self._write(self.last_good, self.path.read_bytes())
        self._tell(State.STAGED, f"by {trial.by}", trial)
        self._write_trial(trial)
        write_durably(self.path, content, self.path if self.path.exists() else None)
        self.keep()

    def count_start(self, trial: Trial) -> Trial:
        """Count a start of the agent with the configuration on trial."""
        again = Trial(**{**asdict(trial), "starts": trial.starts + 1})
        self._write_trial(again)
        return again

    def confirm(self, trial: Trial, detail: str) -> None:
        """Make the configuration on trial the one to return to."""
        self._write(self.last_good, self.path.read_bytes())
        self._write(self._good, json.dumps([trial.hash, trial.serial]).encode())
        self._tell(State.CONFIRMED, detail, trial)
        remove_durably(self._trial)

    def roll_back(self, trial: Trial, detail: str) -> None:
        """Put the last good configuration in force again, unless another is already."""
        if self.hash() == trial.hash and self.last_good.exists():
            write_durably(self.path, self.last_good.read_bytes(), self.path)
            self.keep()
        self._tell(State.ROLLED_BACK, detail, trial)
        remove_durably(self._trial)

    def refuse(self, content: bytes, detail: str, serial: int | None = None) -> None:
        """Take note of a configuration that was not even tried."""
        self._tell(State.REFUSED, detail, Trial(config_hash(content), 0, "", serial))

    def _tell(self, state: State, detail: str, trial: Trial) -> None:
        told = Outcome(state, detail, trial.hash, trial.serial, self._clock.now_ms())
        self._write(self._outcome, json.dumps(asdict(told), ensure_ascii=False).encode())

    def _write_trial(self, trial: Trial) -> None:
        self._write(self._trial, json.dumps(asdict(trial)).encode())

    def _write(self, path: Path, content: bytes) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir()
            like = self.path.parent.stat()
            self.folder.chmod(like.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.chown(self.folder, like.st_uid, like.st_gid)
        write_durably(path, content, self.path if self.path.exists() else None)


def _number(backup: Path) -> int:
    return int(backup.name.partition("-")[0])
