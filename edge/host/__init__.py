"""Host: what the machine below the agent says of itself, and what is written to its card."""

from edge.host.facts import boot_s, free_bytes, host_values, is_time_synchronised
from edge.host.flash import Flash

__all__ = ["Flash", "boot_s", "free_bytes", "host_values", "is_time_synchronised"]
