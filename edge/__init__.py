"""The agent on the Pi: profile, plan, poll, decode, outbox, push."""
