"""From a channel to its notifier."""

from collections.abc import Callable

import structlog

from server.notify.model import Channel, ChannelKind, Notifier

log = structlog.get_logger()


class ConsoleNotifier:
    """The server's own log: works with no network at all."""

    def send(self, title: str, body: str) -> None:
        """Write a message into the log."""
        log.warning("notice", title=title, body=body)


def open_notifier(channel: Channel, wall_ms: Callable[[], int]) -> Notifier:
    """Give the notifier of a channel; DeliveryError when its address is none."""
    if channel.kind is ChannelKind.CONSOLE:
        return ConsoleNotifier()
    if channel.kind in {ChannelKind.APPRISE, ChannelKind.SYSLOG}:
        # apprise is slow to load: only where a channel needs it
        from server.notify.through_apprise import AppriseNotifier

        url = "syslog://" if channel.kind is ChannelKind.SYSLOG else channel.url
        return AppriseNotifier(channel.name, url)
    from server.notify.robots import RobotNotifier

    return RobotNotifier(channel, wall_ms)
