"""Outbox: where readings wait, durable, until the server has said that it keeps them."""

from edge.outbox.delivery import DeliveryLines
from edge.outbox.outbox import COMMIT_INTERVAL_S, Outbox, Terms
from edge.outbox.parcel import (
    DAMAGED,
    PRIMARY,
    Batch,
    Bounds,
    Parcel,
    Refused,
    gzip_lines,
)
from edge.outbox.quarantine import Entry, Quarantine

__all__ = [
    "COMMIT_INTERVAL_S",
    "DAMAGED",
    "PRIMARY",
    "Batch",
    "Bounds",
    "DeliveryLines",
    "Entry",
    "Outbox",
    "Parcel",
    "Quarantine",
    "Refused",
    "Terms",
    "gzip_lines",
]
