"""apply: try a new configuration; the last good one comes back by itself if no device answers."""

import argparse
import os
import signal
import time
from pathlib import Path
from typing import Any

from contract.errors import ConfigError, Problem
from edge.agent import read_config
from edge.apply import LEAST_TRIAL_S, ConfigBook, State, Trial, stage
from edge.cli.shared import add_command, add_config, tell
from edge.config import AgentConfig
from edge.messages import say
from edge.status import ask, socket_path

EXIT_NO = 1
LONGEST_TRIAL_S = 86_400.0
_LOOK_S, _RESTART_S = 0.5, 120.0


def add_apply(commands: Any) -> None:
    """Add the commands of this module."""
    text = "试用新配置，没有设备应答就自动恢复 / try a new agent.yaml; the last good one comes back"
    sub = add_command(commands, "apply", text, "apply new.yaml --config agent.yaml", _apply)
    sub.add_argument("new", type=Path, nargs="?", metavar="NEW.yaml", help="新配置 / the new file")
    add_config(sub)
    help_within = f"多久内要有设备应答（秒） / devices must answer within; least {LEAST_TRIAL_S:g}"
    sub.add_argument("--within", type=float, metavar="SECONDS", help=help_within)
    sub.add_argument("--confirm", action="store_true", help="不等，就用现在的 / keep it now")
    sub.add_argument("--no-wait", action="store_true", help="不等结果 / do not wait for the end")


def _apply(args: argparse.Namespace) -> int:
    _check_arguments(args)
    book = ConfigBook(args.config)
    try:
        if args.confirm:
            return _confirm(book)
        known = _readable(args.config) or _readable(args.new, book.path.parent)
        trial = stage(book, args.new, read_config, "apply", args.within)
    except OSError as error:
        tell("apply_denied", path=book.folder, error=error.strerror)
        return EXIT_NO
    tell("apply_staged", path=book.path, hash=trial.hash, back_to=book.last_good)
    pid = _running(known)
    if pid is None:
        tell("apply_no_agent")
        return 0
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError:
        tell("apply_not_told", pid=pid)
    tell("apply_waits", s=f"{trial.within_s:g}")
    return 0 if args.no_wait else _outcome(book, trial)


def _check_arguments(args: argparse.Namespace) -> None:
    problems = []
    if (args.new is None) != args.confirm:
        got = "both" if args.confirm else "nothing"
        fix = "apply new.yaml --config agent.yaml"
        problems.append(Problem("apply", "NEW.yaml / --confirm", "one of them", got, fix))
    if args.within is not None and not 1 <= args.within <= LONGEST_TRIAL_S:
        wanted = f"1 to {LONGEST_TRIAL_S:g} seconds"
        problems.append(Problem("apply", "--within", wanted, str(args.within), "--within 300"))
    if problems:
        raise ConfigError(problems)


def _confirm(book: ConfigBook) -> int:
    trial = book.trial()
    if trial is None or trial.hash != book.hash():
        tell("apply_no_trial")
        return EXIT_NO
    book.confirm(trial, say("trial_by_hand"))
    tell("apply_confirmed", hash=trial.hash, detail=say("trial_by_hand"))
    return 0


def _readable(path: Path, folder: Path | None = None) -> AgentConfig | None:
    try:
        return read_config(path, folder)
    except ConfigError:
        return None


def _running(config: AgentConfig | None) -> int | None:
    """Give the process id of the agent that runs with a configuration's outbox."""
    if config is None:
        return None
    try:
        return int(ask(socket_path(config.outbox.path))["pid"])
    except PermissionError:
        tell("status_denied", path=socket_path(config.outbox.path))
    except (OSError, KeyError):
        pass
    return None


def _outcome(book: ConfigBook, trial: Trial) -> int:
    until_s = time.monotonic() + trial.within_s + _RESTART_S
    while book.trial() is not None and time.monotonic() < until_s:
        time.sleep(_LOOK_S)
    told = book.outcome()
    if book.trial() is not None or told is None or told.hash != trial.hash:
        tell("apply_open")
        return EXIT_NO
    tell(f"apply_{told.state}", hash=told.hash, detail=told.detail)
    return 0 if told.state is State.CONFIRMED else EXIT_NO
