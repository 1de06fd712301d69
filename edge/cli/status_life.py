"""What status says of the agent's unattended life: host, card, clock, configuration, warnings."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from edge.messages import say

_MB = 1e6
_SYNC = {True: "synced", False: "unsynced", None: "unknown"}
_ROW_KEYS = frozenset({"event", "level", "age_s"})


def unattended_lines(status: Mapping[str, Any]) -> Iterator[str]:
    """Give a line each for host, card, clock and configuration, where anything is known."""
    values, config = status["values"], status["config"]
    facts = list(_host_facts(values))
    if facts:
        yield say("status_host", facts="，".join(facts))
    total = values.get("flash_written_bytes_total")
    if total is not None:
        rate = status["flash_mb_per_day"]
        key = "status_flash_new" if rate is None else "status_flash"
        yield say(key, rate=rate, total=total / _MB)
    time = datetime.fromtimestamp(status["time_ms"] / 1000, UTC)
    state = say(f"status_time_{_SYNC[status['time_synchronised']]}")
    yield say("status_time", time=f"{time:%Y-%m-%d %H:%M:%S}", state=state)
    if config is not None:
        yield from _config(config)


def _host_facts(values: Mapping[str, float]) -> Iterator[str]:
    if "cpu_temperature_c" in values:
        yield say("status_cpu", value=values["cpu_temperature_c"])
    for name in ("power", "throttled"):
        key = "host_undervoltage_state" if name == "power" else "host_throttled_state"
        if values.get(key):
            yield say(f"status_{name}_{int(values[key])}")
    if "disk_free_bytes" in values:
        yield say("status_disk", value=values["disk_free_bytes"] / _MB)
    if "memory_rss_bytes" in values:
        yield say("status_memory", value=values["memory_rss_bytes"] / _MB)
    if "boot_uptime_s" in values:
        yield say("status_boot", time=span(values["boot_uptime_s"]))


def _config(config: Mapping[str, Any]) -> Iterator[str]:
    serial = config["serial"]
    ours = "" if serial is None else say("status_config_serial", serial=serial)
    yield say("status_config", hash=config["hash"] or "?", path=config["path"] + ours)
    trial, told = config["trial"], config["outcome"]
    if trial is not None:
        yield say("status_trial", by=trial["by"], within=trial["within_s"])
    elif told is not None:
        state = say(f"status_state_{told['state']}")
        yield say("status_outcome", hash=told["hash"], state=state, detail=told["detail"])


def errors_table(errors: Sequence[Mapping[str, Any]]) -> Table:
    """Give the newest warnings as a table, the newest first."""
    table = Table(*say("status_error_columns").split("|"), title=say("status_errors"))
    for it in reversed(errors):
        details = " ".join(f"{k}={v}" for k, v in it.items() if k not in _ROW_KEYS)
        table.add_row(span(it["age_s"]), it["level"], it["event"], details)
    return table


def span(seconds: float | None) -> str:
    """Give a time span in its two largest units."""
    if seconds is None:
        return say("status_never")
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {whole % 60} s"
