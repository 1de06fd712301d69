"""Budget: what a bus can carry, computed before it is used.  Pure."""
