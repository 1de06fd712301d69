"""Loop: a turn every few minutes, by chance not with the other agents."""

import asyncio
import random
from collections.abc import Callable

import structlog

from contract.errors import DeliveryError
from edge.fleet.client import Fleet

_JITTER = 1 / 3
_FIRST_SHARE = 0.1
log = structlog.get_logger()


async def run_fleet(fleet: Fleet, on_staged: Callable[[], None]) -> None:
    """Ask until cancelled; calls `on_staged` when a new configuration is on trial."""
    is_reached = True
    wait_s = fleet.interval_s * random.uniform(0, _FIRST_SHARE)
    while True:
        await asyncio.sleep(wait_s)
        try:
            if await asyncio.to_thread(fleet.turn):
                on_staged()
            if not is_reached:
                log.info("fleet_recovered")
            is_reached = True
        except (DeliveryError, OSError) as error:
            if is_reached:
                log.warning("fleet_failed", error=str(error))
            is_reached = False
        wait_s = fleet.interval_s * random.uniform(1 - _JITTER, 1 + _JITTER)
