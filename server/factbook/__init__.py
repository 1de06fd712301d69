"""See docs/architecture.md for the place of this package in the line."""
