"""Outbox: where readings wait, durable, until the server has said that it keeps them."""

from edge.outbox.outbox import COMMIT_INTERVAL_S, Outbox
from edge.outbox.parcel import Batch, Bounds, ClockMark, Parcel, Refused, gzip_lines

__all__ = [
    "COMMIT_INTERVAL_S",
    "Batch",
    "Bounds",
    "ClockMark",
    "Outbox",
    "Parcel",
    "Refused",
    "gzip_lines",
]
