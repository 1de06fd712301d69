"""Jobs: what the server does by the clock."""
