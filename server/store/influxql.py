"""Names, texts and spans as InfluxQL and line protocol write them."""

from server.periods import Interval


def escaped(text: str) -> str:
    """Give a tag of line protocol."""
    return text.replace("\\", "\\\\").replace(" ", "\\ ").replace(",", "\\,").replace("=", "\\=")


def ident(text: str) -> str:
    """Give an identifier of InfluxQL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(text: str) -> str:
    """Give a string of InfluxQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def during(interval: Interval) -> str:
    """Give the condition of a span."""
    return f"time >= {interval.start_ms}ms AND time < {interval.end_ms}ms"
