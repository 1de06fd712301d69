"""The HTTP API: line protocol in, JSON out."""
