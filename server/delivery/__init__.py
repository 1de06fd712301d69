"""Delivery: what agents say they gave out, against what arrived; proves that nothing is missing."""

from server.delivery.model import (
    REPORT,
    RUN,
    AgentLog,
    DayMark,
    Finding,
    Proof,
    Records,
    Why,
)
from server.delivery.prove import marks_of, prove
from server.delivery.said import joined, log_of, rolled

__all__ = [
    "REPORT", "RUN", "AgentLog", "DayMark", "Finding", "Proof", "Records", "Why",
    "joined", "log_of", "marks_of", "prove", "rolled",
]  # fmt: skip
