"""From a URL to its store."""

from pathlib import Path

from server.store.duck import DuckStore
from server.store.protocol import Store

_DUCK = "duckdb:///"


def open_store(url: str, token: str = "") -> Store:
    """Open `duckdb:///path` or `influxdb[s]://host:port/bucket?org=name`."""
    if url.startswith(_DUCK):
        return DuckStore(Path(url.removeprefix(_DUCK)))
    from server.store.influx import InfluxStore  # its client is 25 MiB: only where it is used

    return InfluxStore(url, token)
