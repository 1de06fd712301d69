"""What the outbox and the push cost, beside the plain way."""
