"""Stage: check a new configuration as a start would, and put it in force on trial."""

from collections.abc import Callable
from pathlib import Path

from contract.errors import ConfigError, Problem
from edge.apply.book import ConfigBook, Trial, config_hash
from edge.config import AgentConfig

MAX_BYTES = 1_000_000
LEAST_TRIAL_S = 120.0
_TRIAL_ROUNDS = 3
Validate = Callable[[Path, Path], AgentConfig]  # file, folder its relative paths are seen from


def stage(
    book: ConfigBook, new: Path, validate: Validate, by: str, within_s: float | None = None,
    serial: int | None = None, least_s: float = LEAST_TRIAL_S,
) -> Trial:  # fmt: skip
    """Check a file whole and switch to it on trial; ConfigError with every problem, else OSError.

    `within_s` is how long devices may take to answer; by default three rounds, at least
    `least_s`.
    """
    file, content = str(new), _content(new)
    trial = book.trial()
    if trial is not None and trial.hash == book.hash():
        got = f"{trial.hash} of {trial.by}"
        fix = "wait for its outcome (compound-edge status), or apply --confirm"
        raise ConfigError([Problem(file, "(trial)", "no other trial running", got, fix)])
    config = validate(new, book.path.parent)
    present = _present(book, validate)
    if present is not None:
        _same_outbox(file, config, present)
    within_s = trial_s(config, least_s) if within_s is None else within_s
    trial = Trial(config_hash(content), within_s, by, serial)
    book.switch(content, trial, from_good=present is not None)
    return trial


def trial_s(config: AgentConfig, least_s: float = LEAST_TRIAL_S) -> float:
    """Give how long a configuration's devices may take to answer when nobody says."""
    slowest_s = max(config.intervals_of(c).tick_s for c in config.connections)
    return max(least_s, _TRIAL_ROUNDS * slowest_s)


def _content(new: Path) -> bytes:
    try:
        with new.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        got, fix = str(error.strerror), "check the path"
        raise ConfigError([Problem(str(new), "(file)", "a readable file", got, fix)]) from error
    if len(content) > MAX_BYTES:
        at_most, got = f"at most {MAX_BYTES} bytes", f"more than {MAX_BYTES}"
        raise ConfigError([Problem(str(new), "(file)", at_most, got, "is it the right file?")])
    return content


def _present(book: ConfigBook, validate: Validate) -> AgentConfig | None:
    try:
        return validate(book.path, book.path.parent)
    except ConfigError:
        return None


def _same_outbox(file: str, new: AgentConfig, present: AgentConfig) -> None:
    """What waits in the present outbox must not be left behind unsent."""
    wanted, got = str(present.outbox.path), str(new.outbox.path)
    if wanted != got:
        fix = "keep the path; to move it, stop the agent and move the file by hand"
        raise ConfigError([Problem(file, "outbox.path", wanted, got, fix)])
