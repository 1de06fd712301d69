"""Commissioning: scan, probe, solve, record, accept, for an electrician with a laptop."""
