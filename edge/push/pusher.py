"""Delivers one outbox to one server: what is new first, the backlog between."""

from collections.abc import Sequence
from dataclasses import dataclass

from contract.clock import Clock
from contract.errors import DeliveryError
from edge.config import AgentConfig, PushConfig
from edge.outbox import (
    DAMAGED,
    PRIMARY,
    Batch,
    DeliveryLines,
    Outbox,
    Parcel,
    Refused,
    gzip_lines,
)
from edge.push.answers import RefusedError, TooLargeError
from edge.push.door import Door
from edge.push.pace import Pace
from edge.push.sift import Post, Sift

_MOST_REQUESTS = 200  # to sift one batch; what is left is sifted with the next
_COMMITS = 1.5  # intervals until what is put is durable, with room for the commit itself
_TOO_LARGE = "the server takes no body as large as this one line"
_DAMAGED = "damaged on disk"


@dataclass(frozen=True, slots=True)
class Pushed:
    """What one push did: parcels and readings delivered, lines quarantined, whether more may wait.

    `wait_s` is how long until there may be something to do again.
    """

    parcels: int
    readings: int
    quarantined: int
    more: bool
    wait_s: float


class Pusher:
    """Delivers one outbox to one destination.  Used by one thread."""

    def __init__(
        self,
        config: AgentConfig,
        outbox: Outbox,
        clock: Clock,
        to: PushConfig | None = None,
        name: str = PRIMARY,
    ) -> None:
        to = to or config.push
        self.to, self.name, self.outbox, self._clock = to, name, outbox, clock
        self._door = Door(to, clock)
        self._pace = Pace(
            clock, to.batch_bytes, to.interval_s, to.replay_share, to.replay_bytes_per_s
        )
        self._delivery = outbox.delivery or DeliveryLines(config.site, config.agent, clock)
        # from put to arrival within a tick: what was put has to be committed first
        committed_s = _COMMITS * config.commit_interval_s
        self._idle_s = max(to.interval_s - committed_s, to.interval_s / 2)
        self.failures_total = 0

    def push(self) -> Pushed:
        """Deliver one batch; DeliveryError (nothing lost) when it could not be delivered."""
        size, is_replay = self._pace.batch_bytes, False
        batch = self.outbox.take_new(size, self.name)
        if not batch and not self._pace.replay_in_s():
            batch, is_replay = self.outbox.take(size, self.name), True
        if not batch:
            more = self._pace.replay_in_s() > 0
            return Pushed(0, 0, 0, more, self._wait_s(more=more))
        sent_bytes, began_s = sum(len(p.body) for p in batch), self._clock.monotonic_s()
        try:
            refused = self._deliver(batch)
        except TooLargeError:
            self._pace.shrink(sent_bytes)
            return Pushed(0, 0, 0, more=True, wait_s=0.0)
        except DeliveryError:
            self.failures_total += 1
            raise
        took_s = self._clock.monotonic_s() - began_s
        self._pace.delivered(sent_bytes, took_s, is_replay=is_replay)
        more = self.outbox.is_owed(self.name)
        readings = sum(p.readings for p in batch)
        return Pushed(len(batch), readings, refused, more, self._wait_s(more=more))

    def wait_s(self, error: DeliveryError) -> float:
        """Give how long to wait after a failure: the server's word, else back-off with jitter."""
        return self._pace.failed(error)

    def _wait_s(self, *, more: bool) -> float:
        return min(self._pace.replay_in_s(), self._idle_s) if more else self._idle_s

    def _deliver(self, batch: Batch) -> int:
        """Deliver and settle a batch; give how many lines were refused."""
        try:
            self._door.post(b"".join(p.body for p in batch) + gzip_lines([self._receipt(batch)]))
        except RefusedError as error:
            return self._sift(batch, str(error))
        except TooLargeError:
            if len(batch) > 1:
                raise
            return self._in_parts(batch)
        self.outbox.settle(batch, (), self.name)
        return 0

    def _sift(self, batch: Batch, why: str) -> int:
        """Deliver a refused batch's good lines and set the poison aside."""
        refused = [_refused(p, "", _DAMAGED) for p in batch if not _is_readable(p)]
        lines = [(p, line) for p in batch if _is_readable(p) for line in p.lines()]
        texts, post = [line for _, line in lines], self._poster(batch)
        sift = Sift(post, texts, _MOST_REQUESTS)
        try:
            # with a damaged body in between, nothing is known of the lines yet
            found = post(texts, True) if refused else why
            if found is not None:
                sift.run(found)
        except DeliveryError:
            self._settle_part(batch, lines, sift)
            raise
        refused += [_refused(*lines[i], reason) for i, reason in sift.refused.items()]
        self.outbox.settle(batch, refused, self.name)
        return len(refused)

    def _settle_part(self, batch: Batch, lines: Sequence[tuple[Parcel, str]], sift: Sift) -> None:
        """Settle the parcels that were worked through before the work was cut off."""
        if sift.done in {0, len(lines)}:
            return
        at = lines[sift.done][0]  # the parcel that is not finished
        done = tuple(p for p in batch if p.position < at.position and _is_readable(p))
        refused = [_refused(*lines[i], why) for i, why in sift.refused.items() if i < sift.done]
        left = [line for p, line in lines[sift.done :] if p is at]
        # other destinations have not seen the lines that are left out: for them it stays whole
        rest = (at, left) if self.outbox.is_alone else None
        if rest is None:
            refused = [r for r in refused if r.sequence != at.sequence]
        self.outbox.settle(done, refused, self.name, rest)

    def _in_parts(self, batch: Batch) -> int:
        """Deliver one parcel that is too large as it is, by halves of its lines."""
        (parcel,) = batch
        parts, refused = [parcel.lines()], list[Refused]()
        post, is_heard = self._poster(batch), False
        while parts:
            part = parts.pop()
            try:
                why = post(part, False)
            except TooLargeError:
                if len(part) == 1:
                    is_heard = is_heard or _is_receipt_kept(post)
                    refused.append(_refused(parcel, part[0], _TOO_LARGE))
                else:
                    half = len(part) // 2
                    parts += [part[half:], part[:half]]
                continue
            is_heard = is_heard or why is None
            if why is not None:
                sift = Sift(post, part, _MOST_REQUESTS)
                sift.run(why)
                refused += [_refused(parcel, part[i], said) for i, said in sift.refused.items()]
        _is_receipt_kept(post)  # said when all of it has arrived
        self.outbox.settle(batch, refused, self.name)
        return len(refused)

    def _poster(self, batch: Batch) -> Post:
        def post(lines: Sequence[str], with_receipt: bool) -> str | None:
            receipt = [self._receipt(batch)] if with_receipt else []
            try:
                self._door.post(gzip_lines([*lines, *receipt]))
            except RefusedError as error:
                return str(error)
            return None

        return post

    def _receipt(self, batch: Batch) -> str:
        outbox_id = batch[0].outbox_id
        fields: dict[str, float] = {
            "sequence_first": batch[0].sequence,
            "sequence_last": batch[-1].sequence,
            "oldest_ms": min(p.oldest_ms for p in batch),
            "newest_ms": max(p.newest_ms for p in batch),
            "readings_sent": sum(p.readings for p in batch),
            "outbox_id": outbox_id,
        }
        next_ = self.outbox.sequence_next(outbox_id)
        return self._delivery.line(fields if next_ is None else fields | {"sequence_next": next_})


def _is_receipt_kept(post: Post) -> bool:
    """Send the receipt alone; DeliveryError when a server refuses even that: it refuses us."""
    try:
        why = post([], True)
    except TooLargeError:
        why = "too large"
    if why is not None:
        raise DeliveryError(f"a receipt alone is refused: {why}", permanent=True)
    return True


def _refused(parcel: Parcel, line: str, reason: str) -> Refused:
    return Refused(parcel.outbox_id, parcel.sequence, line, reason[:500])


def _is_readable(parcel: Parcel) -> bool:
    try:
        parcel.lines()
    except DAMAGED:
        return False
    return True
