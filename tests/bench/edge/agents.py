"""The whole agent: its CPU beside other stacks, its memory, and that it loses nothing."""

import math
import os
import statistics
import sys
import time
from functools import partial
from itertools import count, pairwise

from tests.bench.edge.bench import Bench, Result, ended, median_of, side_by_side, spread
from tests.bench.edge.meters import FLOATS_20, lay_profile, tcp_agent
from tests.bench.edge.stacks import (
    COLLECTD,
    INTERVAL_S,
    METERS,
    NAIVE,
    OURS,
    VALUES_A_ROUND,
    has_collectd,
    running,
    values_at_sink,
)

SETTLE_S, MEASURE_S, DRAIN_S, TIMES = 4.0, 8.0, 4.0, 3
SOAK_SETTLE_S, SOAK_TELLS_MIN = 20.0, 10.0
TARGETS = {NAIVE: 0.4, COLLECTD: 0.15}
_number = count()


def one_run(bench: Bench, stack: str) -> Result:
    with running(bench, stack, f"stack{next(_number)}") as it:
        time.sleep(SETTLE_S)
        if it.process.poll() is not None:
            raise RuntimeError((bench.folder / f"{stack}.log").read_text("utf-8")[-3000:])
        result = it.measured(MEASURE_S)
        if stack != OURS:
            return result
        it.drain(DRAIN_S)
        slots: dict[str, set[int]] = {}
        values = values_at_sink(it.folder)
        for meter, slot_ms, _ in values:
            slots.setdefault(meter, set()).add(slot_ms)
        step_ms = round(INTERVAL_S * 1000)
        due = sum((max(s) - min(s)) // step_ms + 1 for s in slots.values()) * len(FLOATS_20)
        return result | {"read": it.values(), "sent": len(values), "due": due}


def whole_agent(bench: Bench) -> None:
    stacks = [OURS, NAIVE, *([COLLECTD] if has_collectd() else [])]
    jobs = {stack: partial(one_run, bench, stack) for stack in stacks}
    results = bench.in_turn(f"{METERS} meters × 20 floats every {INTERVAL_S} s", jobs, TIMES)
    ours = results[OURS]
    for stack, of in results.items():
        text = (
            f"{spread([r['us_per_value'] for r in of])} µs CPU a value · "
            f"{median_of(of, 'cpu_share'):.0%} of a core · kept up {median_of(of, 'kept_up'):.1%}"
            f" · RSS {median_of(of, 'rss_mib'):.0f} MiB"
        )
        bench.tell(f"{METERS} × 20 floats / {INTERVAL_S} s · {stack}", text)
    for stack, target in TARGETS.items():
        figure = f"… this agent beside {stack}"
        if stack not in results:
            bench.tell(figure, "not installed: apt-get install collectd-core", f"≤ {target} ×")
            continue
        ratios = side_by_side(results, "us_per_value", OURS, stack)
        met = statistics.median(ratios) <= target
        bench.tell(figure, f"{spread(ratios)} × CPU a value", f"≤ {target} ×", met=met)
    peak = max(r["peak_rss_mib"] for r in ours)
    bench.tell("… peak RSS, Modbus only", f"{peak:.0f} MiB", "≤ 60 MiB", met=peak <= 60)
    _nothing_lost(bench, ours)
    _without_asyncua(bench)


def _nothing_lost(bench: Bench, ours: list[Result]) -> None:
    """What the meters gave is at the sink; a stop may cut off one round of each meter."""
    read, sent, due = (sum(r[key] for r in ours) for key in ("read", "sent", "due"))
    cut, at_most = read - sent, len(ours) * VALUES_A_ROUND
    text = f"{read:,} = {sent:,} + {cut:,} cut off by the stops"
    target = f"cut off ≤ {at_most:,}"
    bench.tell("… values read = at the sink", text, target, met=0 <= cut <= at_most)
    text = f"{sent:,} of {due:,} ({due - sent:,} missing)"
    bench.tell("… values at the sink, of slots × points", text, "all", met=sent == due)


def _without_asyncua(bench: Bench) -> None:
    """Ask the interpreter itself what an agent without OPC UA imports."""
    ref = lay_profile(bench.folder, "m40", FLOATS_20)
    config = tcp_agent(bench.folder / "imports.yaml", 9, ref, 1, 1.0)
    script = [sys.executable, "-X", "importtime", _script(), "run", "--config", str(config)]
    process = bench.start(script, "imports.log")
    time.sleep(4.0)
    code = ended(process)
    log = (bench.folder / "imports.log").read_text("utf-8", "replace")
    heavy = [m for m in ("asyncua", "cryptography", "influxdb_client") if f" {m}\n" in log]
    found = "asyncua" in heavy or code != 0 or "pymodbus" not in log
    bench.tell("… imports of asyncua", ", ".join(heavy) or "none", "none", met=not found)


def _script() -> str:
    return os.path.join(os.path.dirname(sys.executable), "compound-edge")


def soak(bench: Bench) -> None:
    """Watch an agent's memory; SOAK_MIN minutes (1: it runs, and says little)."""
    minutes = float(os.environ.get("SOAK_MIN", "1"))
    task = bench.progress.add_task(f"memory over {minutes:g} min", total=minutes * 60)
    hours, mib = [], []
    with running(bench, OURS, "soak") as it:
        time.sleep(SOAK_SETTLE_S)
        began_s = time.monotonic()
        while (past_s := time.monotonic() - began_s) < minutes * 60:
            hours.append(past_s / 3600)
            mib.append(it.footprint().rss_mib)
            bench.progress.update(task, completed=past_s)
            time.sleep(1.0)
    bench.progress.update(task, completed=minutes * 60)
    slope, sigma = slope_of(hours, mib)
    text = (
        f"{slope:+.2f} ± {2 * sigma:.2f} MiB/h (2σ) over {minutes:g} min, {mib[0]:.1f} → "
        f"{mib[-1]:.1f} MiB"
    )
    is_telling = minutes >= SOAK_TELLS_MIN
    met = slope <= 1.0 if is_telling else None
    text += "" if is_telling else f"; no verdict under {SOAK_TELLS_MIN:g} min"
    bench.tell("… RSS growth at 10,000 values/s", text, "≤ 1 MiB/h", met=met)


def slope_of(x: list[float], y: list[float]) -> tuple[float, float]:
    """Give the least-squares slope and its standard error, neighbours' likeness allowed for.

    With a lag-1 autocorrelation r of the residuals, n samples tell as much as n (1-r)/(1+r).
    """
    line = statistics.linear_regression(x, y)
    rest = [b - line.slope * a - line.intercept for a, b in zip(x, y, strict=True)]
    power = sum(e * e for e in rest)
    if power == 0:
        return line.slope, 0.0
    r = sum(a * b for a, b in pairwise(rest)) / power
    r = min(max(r, 0.0), 0.999)
    mean = statistics.fmean(x)
    wide = sum((a - mean) ** 2 for a in x)
    variance = power / (len(x) - 2) / wide
    return line.slope, math.sqrt(variance * (1 + r) / (1 - r))
