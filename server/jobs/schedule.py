"""The schedule: APScheduler starts the work; threads do it, so that requests never wait."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from contract.clock import Clock
from contract.errors import DeliveryError
from server.jobs.work import Works, judge_all, roll_up, touched
from server.periods import DAY_MS, HOUR_MS, Interval

ROLL_UP_S, JUDGE_S, MAINTAIN_S = 60, 120, 86_400
LEASE_MS = 10 * 60_000
RECEIPTS_OVERLAP_MS = 5 * 60_000  # an agent's clock may be this far behind ours
JUDGE_DAYS = 3
log = structlog.get_logger()


@dataclass(slots=True)
class Schedule:
    """The running jobs of one server."""

    works: Works
    clock: Clock
    owner: str = ""

    def start(self) -> AsyncIOScheduler:
        """Start the jobs in the running event loop; give the scheduler, to be shut down."""
        self.owner = f"{os.uname().nodename}-{os.getpid()}"
        scheduler = AsyncIOScheduler(
            timezone="UTC",
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        jobs = ((ROLL_UP_S, self.roll_up), (JUDGE_S, self.judge), (MAINTAIN_S, self.maintain))
        for seconds, job in jobs:
            scheduler.add_job(self._in_thread, "interval", seconds=seconds, args=[job])
        scheduler.start()
        return scheduler

    def roll_up(self) -> None:
        """Bring the rollups up to date: the days that new receipts speak of."""
        state, now_ms = self.works.state, self.clock.now_ms()
        since_ms = (state.mark("receipts") or now_ms - DAY_MS) - RECEIPTS_OVERLAP_MS
        span, newest_ms = touched(self.works, now_ms, since_ms)
        if span is not None:
            roll_up(self.works, span)
            state.set_mark("receipts", newest_ms)

    def judge(self) -> None:
        """Judge the last days, further back where an alert is still open."""
        now_ms = self.clock.now_ms()
        open_since = [a.start_ms for a in self.works.state.alerts(is_open=True)]
        start_ms = min([now_ms - JUDGE_DAYS * DAY_MS, *open_since])
        new = judge_all(self.works, Interval(start_ms, now_ms + HOUR_MS), now_ms)
        if new:
            log.info("alerts_found", new=new)

    def maintain(self) -> None:
        """Let the store do its daily housekeeping."""
        self.works.store.maintain()

    async def _in_thread(self, job: Callable[[], None]) -> None:
        now_ms = self.clock.now_ms()
        name = job.__name__
        if not self.works.state.take_lease(name, self.owner, now_ms, now_ms + LEASE_MS):
            return
        try:
            await asyncio.to_thread(job)
        except DeliveryError as error:
            log.warning("job_failed", job=name, error=str(error))
        finally:
            done_ms = self.clock.now_ms()
            self.works.state.take_lease(name, self.owner, done_ms, done_ms)
