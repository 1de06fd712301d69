"""Delivering: stored messages → channels, at most as fast as each takes them.

Two deliverers may run at once: a message is claimed before it is sent, and a claim that runs out
(its deliverer was killed) lets another send it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from contract.clock import Clock
from contract.errors import DeliveryError
from server.notify.model import Channel, Notifier, NotifyPlan
from server.notify.open import open_notifier
from server.state import State
from server.state.outbound import Message, Outbound

CLAIM_MS = 120_000  # longer than any notifier may take over one message
FIRST_RETRY_MS, LAST_RETRY_MS = 30_000, 3_600_000
log = structlog.get_logger()


@dataclass(slots=True)
class Deliverer:
    """Sends what is due; owner: a name no other deliverer has."""

    state: State
    plan: NotifyPlan
    clock: Clock
    owner: str
    claim_ms: int = CLAIM_MS
    opener: Callable[[Channel, Callable[[], int]], Notifier] = open_notifier
    _open: dict[str, Notifier] = field(default_factory=dict)

    def deliver(self) -> int:
        """Send what is due and may be sent now; give how many messages were taken."""
        return sum(self._deliver_to(channel) for channel in self.plan.channels)

    def _deliver_to(self, channel: Channel) -> int:
        outbound, taken = self.state.outbound, 0
        while outbound.has_due(channel.name, self.clock.now_ms()):
            if not outbound.take_token(channel.name, channel.per_minute, self.clock.now_ms()):
                break
            now_ms = self.clock.now_ms()
            message = outbound.claim(channel.name, self.owner, now_ms, now_ms + self.claim_ms)
            if message is None:
                continue
            try:
                self._notifier(channel).send(message.title, message.body)
            except DeliveryError as error:
                self._failed(outbound, channel, message, error)
                if not error.permanent:
                    break
                continue
            outbound.delivered(message.id, self.clock.now_ms())
            taken += 1
        return taken

    def _notifier(self, channel: Channel) -> Notifier:
        if channel.name not in self._open:
            self._open[channel.name] = self.opener(channel, self.clock.now_ms)
        return self._open[channel.name]

    def _failed(
        self, outbound: Outbound, channel: Channel, message: Message, error: DeliveryError
    ) -> None:
        now_ms, text = self.clock.now_ms(), str(error)
        if error.permanent:
            outbound.refused(message.id, now_ms, text)
            log.error("message_refused", channel=channel.name, message=message.id, error=text)
            return
        wait_ms = min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** min(message.attempts - 1, 10))
        if error.retry_after_s is not None:
            wait_ms = round(error.retry_after_s * 1000)
            outbound.block(channel.name, now_ms + wait_ms)
        outbound.put_back(message.id, now_ms + wait_ms, text)
        log.warning("message_waits", channel=channel.name, message=message.id, error=text)


def send_test(plan: NotifyPlan, clock: Clock, words: tuple[str, str]) -> Mapping[str, str]:
    """Send a test through every channel at once; give {channel: error}, empty: it was taken."""
    out: dict[str, str] = {}
    for channel in plan.channels:
        try:
            open_notifier(channel, clock.now_ms).send(*words)
        except DeliveryError as error:
            out[channel.name] = str(error) or type(error).__name__
        else:
            out[channel.name] = ""
    return out
