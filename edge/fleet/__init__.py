"""Fleet: the agent asks its server now and then whether there is a new configuration for it.

The agent is always the client and opens no port; what it takes is signed, for it, and newer.
"""

from edge.fleet.client import Fleet
from edge.fleet.loop import run_fleet

__all__ = ["Fleet", "run_fleet"]
