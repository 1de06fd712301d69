"""The server: readings in; metrics, alerts and the report out.  Needs the `server` extra."""

from importlib.util import find_spec

if find_spec("duckdb") is None or find_spec("fastapi") is None:
    raise ImportError(
        "the server extra is not installed; fix: pip install 'compound-energy[server]'"
    )
