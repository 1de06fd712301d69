"""Poll: one owner task for each connection, one round of its due reads at each slot."""

from edge.poller.bus import Bus
from edge.poller.due import tick_ms
from edge.poller.holes import HoleBook
from edge.poller.loop import run_bus, stagger_ms
from edge.poller.turn import Tally
from edge.poller.unit import Unit

__all__ = ["Bus", "HoleBook", "Tally", "Unit", "run_bus", "stagger_ms", "tick_ms"]
