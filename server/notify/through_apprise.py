"""Mail, webhooks, syslog and the rest, through apprise; the only module that imports it."""

import apprise

from contract.errors import DeliveryError


class AppriseNotifier:
    """One apprise URL, for instance mailto://relay.local?to=…, json://…, syslog://."""

    def __init__(self, name: str, url: str) -> None:
        self._apprise = apprise.Apprise()
        if not self._apprise.add(url):
            raise DeliveryError(f"{name}: apprise does not know such an address", permanent=True)

    def send(self, title: str, body: str) -> None:
        """Send a text; DeliveryError when apprise says that it did not go."""
        if not self._apprise.notify(title=title, body=body, body_format="text"):
            raise DeliveryError("apprise could not deliver; see the log", permanent=False)
