"""Clock: what time it is, how sure that is, and which slot comes next."""

from edge.clock.agent_clock import AgentClock
from edge.clock.grid import Grid, MarkingClock, SteadyClock
from edge.clock.kept import KeptTime
from edge.clock.machine import Machine, ThisMachine, usual_trust
from edge.clock.marks import ClockMark, Holder, ToSlot, restamped
from edge.clock.truth import Look, TimeSource, Trust
from edge.clock.watch import X509_NO_CHECK_TIME, Ask, server_asker, watch_clock

__all__ = [
    "X509_NO_CHECK_TIME",
    "AgentClock",
    "Ask",
    "ClockMark",
    "Grid",
    "Holder",
    "KeptTime",
    "Look",
    "Machine",
    "MarkingClock",
    "SteadyClock",
    "ThisMachine",
    "TimeSource",
    "ToSlot",
    "Trust",
    "restamped",
    "server_asker",
    "usual_trust",
    "watch_clock",
]
