"""Notify: what is to be told, to whom, through what; see docs/alerts.md."""
