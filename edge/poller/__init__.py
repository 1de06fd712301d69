"""Poll: one owner task for each connection, one round of its due reads at each slot."""

from edge.poller.bus import Bus, Tally, Unit, run_bus

__all__ = ["Bus", "Tally", "Unit", "run_bus"]
