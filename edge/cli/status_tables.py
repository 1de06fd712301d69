"""The status of a running agent as tables."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from contract.measurand import MEASURANDS
from edge.cli.status_life import errors_table, span, unattended_lines
from edge.messages import MESSAGES, say

# what a person at the door looks for, and how many of them there is room for
_MAIN = (
    "power_kw", "energy_import_kwh", "energy_total_kwh", "voltage_l1_v", "volume_m3",
    "flow_m3_per_h", "door_in_total", "people_now", "temperature_c", "humidity_percent",
)  # fmt: skip
_SHOWN = 3


def show(status: Mapping[str, Any], console: Console) -> None:
    """Print a status document: the agent, its buses, its devices."""
    values, push = status["values"], status["push"]
    told = {"agent": status["agent"], "site": status["site"], "uptime": span(values["uptime_s"])}
    outbox = {k.removeprefix("outbox_"): int(v) for k, v in values.items() if "outbox" in k}
    kind = "bad" if push["error"] else "new" if push["last_good_age_s"] is None else "good"
    age = span(push["last_good_age_s"])
    lines = [
        say("status_agent", **told),
        say("status_outbox", **outbox),
        say(f"status_push_{kind}", url=push["url"], error=push["error"], age=age),
    ]
    if status["outbox_in_ram"]:
        lines.append(say("outbox_in_ram", why=status["outbox_in_ram"]))
    if status["stalled"]:
        lines.append(say("status_stalled", loops=", ".join(status["stalled"])))
    for line in [*lines, *unattended_lines(status)]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(_buses(status))
    console.print(_devices(status))
    if status["errors"]:
        console.print(errors_table(status["errors"]))


def _buses(status: Mapping[str, Any]) -> Table:
    table = Table(*say("status_bus_columns").split("|"), title=say("status_buses"))
    for b in status["buses"]:
        table.add_row(
            b["name"],
            f"{b['interval_s']:g} s",
            _number(b["utilisation_percent"], " %"),
            span(b["bus_lost_s"]),
            f"{_number(b['bus_latency_p50_ms'])} / {_number(b['bus_latency_p99_ms'])}",
            *_counts(b, "bus_requests_total"),
            " / ".join(
                _counts(b, "bus_timeouts_total", "bus_crc_errors_total", "bus_retries_total")
            ),
            " / ".join(_counts(b, "slots_missed_total", "bus_reads_shed_total")),
        )
    return table


def _devices(status: Mapping[str, Any]) -> Table:
    table = Table(*say("status_device_columns").split("|"), title=say("status_devices"))
    for bus in status["buses"]:
        for d in bus["devices"]:
            has_data = any(r["value"] is not None for r in d["readings"])
            kind = "no_data" if d["breaker"] == "closed" and not has_data else d["breaker"]
            state = say(f"breaker_{kind}", again=span(d["asked_again_in_s"]))
            holes = say("status_holes", count=len(d["holes"])) if d["holes"] else ""
            table.add_row(
                d["device"], bus["name"], state, span(d["last_good_age_s"]), span(d["lost_s"]),
                _main_values(d["readings"]), " ".join(filter(None, [_reasons(d), holes])),
            )  # fmt: skip
    return table


def _main_values(readings: list[dict[str, Any]]) -> str:
    known = {r["measurand"]: r for r in readings if r["value"] is not None}
    main = [known[name] for name in _MAIN if name in known][:_SHOWN]
    return "\n".join(
        f"{MEASURANDS[r['measurand']].label_zh} {r['value']:,.6g} {r['unit'].removesuffix('1')}"
        for r in main
    )


def _reasons(device: Mapping[str, Any]) -> str:
    """Give why points are not good, each reason with the number of its points."""
    reasons = Counter(r["reason"] for r in device["readings"] if r["reason"] != "good")
    return " ".join(f"{MESSAGES.get(f'reason_{k}', k)} {k}×{n}" for k, n in reasons.most_common())


def _counts(bus: Mapping[str, Any], *names: str) -> list[str]:
    return [str(int(bus[name])) for name in names]


def _number(value: float | None, unit: str = "") -> str:
    return "—" if value is None else f"{value:.1f}{unit}"
