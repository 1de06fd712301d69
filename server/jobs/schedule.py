"""The schedule: APScheduler starts the work; threads do it, so that requests never wait."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from contract.clock import Clock
from contract.errors import DeliveryError
from server.jobs.annotating import Annotator
from server.jobs.delivering import Deliverer
from server.jobs.entries import FIXED
from server.jobs.judging import judge_all
from server.jobs.periods import review_periods
from server.jobs.proving import prove_savings
from server.jobs.receipts import roll_deliveries
from server.jobs.rolling import roll_up_spans
from server.jobs.telling import plan_briefs, plan_messages
from server.jobs.touched import touched_spans
from server.jobs.works import Works
from server.notify.model import LOG_ONLY, NotifyPlan
from server.periods import DAY_MS, HOUR_MS, Interval, day_of, midnight_ms
from server.site.model import Site

# a condition that comes true is told within a minute of its hold time
ROLL_UP_S, JUDGE_S, DELIVER_S, MAINTAIN_S, ANNOTATE_S = 20.0, 20, 10, 3600, 60
LEASE_MS = 10 * 60_000
MONTH_MS = 31 * DAY_MS
CONTEXT_MS = MONTH_MS  # readings kept in front of what may be computed again: events and profiles
WRITTEN, MAINTAINED = "written", "maintained"
JUDGE_DAYS = 3
log = structlog.get_logger()


@dataclass(slots=True)
class Schedule:
    """The running jobs of one server."""

    works: Works
    clock: Clock
    owner: str = ""
    keep_raw_months: int | None = None
    roll_up_s: float = ROLL_UP_S
    plan: NotifyPlan = LOG_ONLY
    deliverer: Deliverer | None = None
    annotator: Annotator | None = None
    _is_shown: bool = True

    def keep_from_ms(self, now_ms: int) -> int | None:
        """Give the instant before which readings are dropped; None: they are kept for ever."""
        if self.keep_raw_months is None:
            return None
        return now_ms - self.keep_raw_months * MONTH_MS

    def start(self) -> AsyncIOScheduler:
        """Start the jobs in the running event loop; give the scheduler, to be shut down."""
        self.owner = f"{os.uname().nodename}-{os.getpid()}"
        scheduler = AsyncIOScheduler(
            timezone="UTC",
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        jobs = ((self.roll_up_s, self.roll_up), (JUDGE_S, self.judge), (MAINTAIN_S, self.maintain))
        for seconds, job in jobs:
            scheduler.add_job(self._in_thread, "interval", seconds=seconds, args=[job])
        if self.annotator is not None:
            scheduler.add_job(
                self._in_thread, "interval", seconds=ANNOTATE_S, args=[self.annotate]
            )  # fmt: skip
        # no lease: messages are claimed one by one, so that a killed server holds nobody up
        scheduler.add_job(asyncio.to_thread, "interval", seconds=DELIVER_S, args=[self.deliver])
        scheduler.start()
        return scheduler

    def roll_up(self) -> None:
        """Bring the rollups up to date: what was written, entered or changed since the last time.

        The marks move only when all is stored: after a kill the same work is done again.
        """
        state, store, now_ms = self.works.state, self.works.store, self.clock.now_ms()
        written = store.written_since(self.works.site.id, state.mark(WRITTEN) or 0, now_ms)
        touches = state.books.touches()
        spans, causes = touched_spans(self.works.site, written, touches, now_ms)
        over = [Interval(t.start_ms, min(t.end_ms, now_ms)) for t in touches if not t.meter]
        hull = Interval(min(o.start_ms for o in over), now_ms) if over else None
        if spans or hull:
            done = roll_up_spans(self.works, spans, now_ms, causes, computed_over=hull)
            if done.notes:
                log.info("past_changed", notes=len(done.notes), causes=len(set(causes.values())))
            reopened = review_periods(self.works, now_ms, done.notes)
            if reopened:
                log.warning("closed_period_moved", corrections=reopened)
        state.books.settle(touches)
        state.set_mark(WRITTEN, written.mark)

    def judge(self) -> None:
        """Judge the last days, further back where an alert is still open."""
        now_ms = self.clock.now_ms()
        open_since = [a.start_ms for a in self.works.state.alerts(is_open=True)]
        start_ms = min([now_ms - JUDGE_DAYS * DAY_MS, *open_since])
        new = judge_all(self.works, Interval(start_ms, now_ms + HOUR_MS), now_ms)
        if new:
            log.info("alerts_found", new=new)

    def deliver(self) -> None:
        """Decide how changes of state are told, and send what is due."""
        state, plan, now_ms = self.works.state, self.plan, self.clock.now_ms()
        if self.deliverer is None:
            self.deliverer = Deliverer(state, plan, self.clock, self.owner)
        state.inbox.escalate(plan.escalate_ms, now_ms)
        state.inbox.reopen_lasting(plan.reopen_ms, now_ms)
        plan_messages(self.works.desk, plan, now_ms)
        plan_briefs(self.works.desk, plan, now_ms)
        self.deliverer.deliver()

    def annotate(self) -> None:
        """Show alerts in Grafana; one that is away is told once."""
        if self.annotator is None:
            return
        try:
            changed = self.annotator.annotate(self.works.desk, self.clock.now_ms())
        except DeliveryError as error:
            if self._is_shown:
                log.warning("not_annotated", error=str(error))
            self._is_shown = False
            return
        if changed:
            log.info("annotated", changed=changed)
        self._is_shown = True

    def maintain(self) -> None:
        """Let the store do its housekeeping once a day, however often the server is started.

        What is to be dropped is first made safe from being computed again; receipts of days
        that are over are joined and kept before.
        """
        state, now_ms = self.works.state, self.clock.now_ms()
        roll_deliveries(self.works, now_ms)
        prove_savings(self.works, now_ms)
        last_ms = state.mark(MAINTAINED)
        if last_ms is not None and 0 <= now_ms - last_ms < DAY_MS:
            return
        keep_from_ms = self.keep_from_ms(now_ms)
        if keep_from_ms is not None:
            keep_from_ms = _midnight(keep_from_ms, self.works.site)
            fixed_ms = _midnight(keep_from_ms + CONTEXT_MS, self.works.site)
            state.set_mark(FIXED, max(fixed_ms, state.mark(FIXED) or 0))
        self.works.store.maintain(state.mark(WRITTEN) or 0, now_ms, keep_from_ms)
        state.set_mark(MAINTAINED, now_ms)

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


def _midnight(time_ms: int, site: Site) -> int:
    return midnight_ms(day_of(time_ms, site.zone), site.zone)
