"""Trial: the running agent judges its own configuration by whether devices answer."""

import asyncio
from collections.abc import Sequence

import structlog

from contract.clock import Clock
from edge.apply.book import ConfigBook, Trial
from edge.messages import say
from edge.poller import Bus

_LOOK_S = 1.0
log = structlog.get_logger()


async def watch(book: ConfigBook, buses: Sequence[Bus], clock: Clock) -> bool:
    """Wait for the outcome of the trial that is on, if one is; True when it was rolled back.

    It is good as soon as a device has answered on every bus, or, when the time is up, on any.
    """
    began_s, first = clock.monotonic_s(), book.trial()
    if first is None:
        return False
    log.info("config_on_trial", hash=first.hash, within_s=first.within_s, by=first.by)
    while (trial := book.trial()) is not None:  # gone: somebody has confirmed it
        silent = [b.name for b in buses if not _answers(b, clock.monotonic_s())]
        if not silent:
            _confirm(book, trial, say("trial_every_bus"))
        elif clock.monotonic_s() - began_s >= trial.within_s:
            if len(silent) == len(buses):
                why = say("trial_none", s=trial.within_s)
                book.roll_back(trial, why)
                log.error("config_rolled_back", hash=trial.hash, in_force=book.hash(), why=why)
                return True
            _confirm(book, trial, say("trial_some", buses=", ".join(silent)))
        else:
            await asyncio.sleep(_LOOK_S)
    return False


def _confirm(book: ConfigBook, trial: Trial, detail: str) -> None:
    book.confirm(trial, detail)
    log.info("config_confirmed", hash=trial.hash, detail=detail)


def _answers(bus: Bus, now_s: float) -> bool:
    return any(unit.good_age_s(now_s) is not None for unit in bus.units)
