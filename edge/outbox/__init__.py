"""Outbox: where readings wait, durable, until the server has said that it keeps them."""

from edge.outbox.sqlite import Batch, Bounds, Outbox, Round, gzip_lines

__all__ = ["Batch", "Bounds", "Outbox", "Round", "gzip_lines"]
