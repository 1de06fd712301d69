"""Begin: what a start of the agent finds, and which configuration it therefore runs."""

import structlog

from contract.errors import ConfigError
from edge.apply.book import ConfigBook, Trial
from edge.apply.stage import Validate
from edge.config import AgentConfig
from edge.messages import say

STARTS_AT_MOST = 3  # a trial goes on after a power cut, but not for ever
log = structlog.get_logger()


def begin(book: ConfigBook, validate: Validate) -> AgentConfig:
    """Give the configuration to run; ConfigError when neither it nor a good one can be.

    A trial that was cut before its switch is over; one that cannot start has failed; one that
    has been started often without an outcome has failed too.
    """
    trial = book.trial()
    if trial is not None and trial.hash != book.hash():
        _end(book, trial, say("trial_cut_off"))
        trial = None
    if trial is not None and trial.starts >= STARTS_AT_MOST:
        _end(book, trial, say("trial_starts", count=trial.starts))
        trial = None
    book.loaded = book.hash()
    try:
        config = validate(book.path, book.path.parent)
    except ConfigError as error:
        if trial is None:
            raise
        _end(book, trial, say("trial_cannot_start", why=error.problems[0]))
        book.loaded = book.hash()
        return validate(book.last_good, book.path.parent)  # in force again, or read-only
    if trial is not None:
        try:
            book.count_start(trial)
        except OSError as error:
            log.warning("config_start_not_counted", error=str(error))
    return config


def keep(book: ConfigBook) -> None:
    """Back the file in force up; without a place for it, that is only logged."""
    try:
        if book.keep():
            log.info("config_kept", hash=book.hash())
    except OSError as error:
        log.warning("config_not_kept", folder=str(book.folder), error=str(error))


def _end(book: ConfigBook, trial: Trial, why: str) -> None:
    try:
        book.roll_back(trial, why)
    except OSError as error:
        log.warning("config_not_rolled_back", hash=trial.hash, error=str(error))
    log.error("config_rolled_back", hash=trial.hash, in_force=book.hash(), why=why)
