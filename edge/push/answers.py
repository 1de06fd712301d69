"""What a server's answer means for what was sent."""

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from contract.errors import DeliveryError

KEPT = 204
POISON = frozenset({400, 422})
TOO_LARGE = 413
SETTINGS = frozenset({401, 403, 404})
_LONGEST_WAIT_S = 3600.0  # no server may silence an agent for longer


class RefusedError(Exception):
    """The server refuses the body's content; the message is its own."""


class TooLargeError(Exception):
    """The server refuses the body's size."""


def judge(status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> None:
    """Return when the server keeps the body; else RefusedError, TooLargeError, DeliveryError.

    Only 204 is the word of a store: a 200 may be a captive portal's or a proxy's page.
    """
    if status == KEPT:
        return
    said = message_of(body)
    if status in POISON:
        raise RefusedError(said)
    if status == TOO_LARGE:
        raise TooLargeError
    if status < 400:
        said = f"not a store's answer (a proxy or a login page in between?): {said}"
    raise DeliveryError(
        f"answer {status}: {said}",
        permanent=status in SETTINGS,
        retry_after_s=retry_after_s(headers, now_ms),
    )


def message_of(body: bytes) -> str:
    """Give what the server says: the message of InfluxDB's JSON, else the beginning."""
    try:
        return str(json.loads(body)["message"])[:2000]
    except (ValueError, KeyError, TypeError):
        return " ".join(body[:200].decode("utf-8", "replace").split())


def retry_after_s(headers: Mapping[str, str], now_ms: int) -> float | None:
    """Give the seconds of Retry-After, as seconds or as a date; None without one.

    A date is held against the server's own: a Pi may not know the time.
    """
    told = headers.get("Retry-After", "").strip()
    if told.isascii() and told.isdigit():
        return min(float(told), _LONGEST_WAIT_S)
    until_s, at_s = _epoch_s(told), _epoch_s(headers.get("Date", ""))
    if until_s is None:
        return None
    return min(max(until_s - (now_ms / 1000 if at_s is None else at_s), 0.0), _LONGEST_WAIT_S)


def _epoch_s(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
