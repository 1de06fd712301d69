"""A dead unit: 1 of 30 on a serial line and behind a TCP gateway, once the breaker is open."""

import statistics
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench.edge.bench import Bench, Result
from tests.bench.edge.meters import FLOATS_20, lay_profile, write_agent, write_image
from tests.bench.edge.slaves import rtu_slave, tcp_slave

UNITS, DEAD = 30, 11
INTERVAL_S, TIMEOUT_S, ROUNDS = 1.0, 0.25, 45
BAUD, GATEWAY_S = 115_200, 0.010


def dead_unit(bench: Bench) -> None:
    """Four buses side by side: each kind with the dead unit, and without it."""
    task = bench.progress.add_task(f"1 of {UNITS} units dead, {ROUNDS} slots", total=None)
    ref = lay_profile(bench.folder, "m40", FLOATS_20)
    image = write_image(bench.folder / "image")
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        line = [rtu_slave(bench.folder, BAUD, image, DEAD) for _ in range(2)]
        gateway = [tcp_slave(bench.folder, GATEWAY_S, image, DEAD) for _ in range(2)]
        for slave in (*line, *gateway):
            stack.enter_context(slave)
        ways: dict[str, list[dict[str, Any]]] = {
            f"serial line, {BAUD} baud": [
                {"driver": "modbus-rtu", "device": s.address, "baud": BAUD, "stopbits": 2}
                for s in line
            ],
            "TCP gateway": [
                {"driver": "modbus-tcp", "host": "127.0.0.1", "port": s.port} for s in gateway
            ],
        }
        futures = {
            way: [
                pool.submit(_run, bench, _config(bench, ref, f"dead{i}{k}", link, is_dead), is_dead)
                for k, (link, is_dead) in enumerate(zip(links, (True, False), strict=True))
            ]
            for i, (way, links) in enumerate(ways.items())
        }
        for way, (dead, healthy) in futures.items():
            _report(bench, way, dead.result(), healthy.result())
    bench.progress.update(task, total=1, completed=1)


def _config(bench: Bench, ref: str, name: str, link: dict[str, Any], is_dead: bool) -> Path:
    connection = {"id": "b", "timeout_s": TIMEOUT_S, **link}
    units = [u for u in range(1, UNITS + 1) if is_dead or u != DEAD]
    devices = [{"id": f"M{u}", "connection": "b", "unit": u, "profile": ref} for u in units]
    folder = bench.folder / name
    folder.mkdir()
    return write_agent(folder / "agent.yaml", [connection], devices, INTERVAL_S)


def _run(bench: Bench, agent: Path, is_dead: bool) -> Result:
    dead = f"M{DEAD}" if is_dead else ""
    return bench.work("slots", agent=str(agent), rounds=ROUNDS, dead=dead)


def _report(bench: Bench, way: str, dead: Result, healthy: Result) -> None:
    """Lost: what the rounds took beyond the same rounds of a bus without the dead unit."""
    usual_s = statistics.median(r["took_s"] for r in healthy["rounds"])
    lost_s = sum(r["took_s"] - usual_s for r in dead["rounds"])
    share = lost_s / (ROUNDS * INTERVAL_S)
    probes = sum(r["is_probe"] for r in dead["rounds"])
    text = (
        f"{share:.1%} of the cycle ({lost_s / (ROUNDS * usual_s):.1%} of {usual_s:.2f} s bus time)"
        f" · {probes} probes, {dead['missed']} slots missed in {ROUNDS}"
    )
    bench.tell(f"dead unit · {way} · lost", text, "< 5 %", met=share < 0.05)
    usual = {
        device: statistics.median(r["lags"][device] for r in healthy["rounds"] if r["lags"])
        for device in healthy["rounds"][0]["lags"]
    }
    off = [_off(r, usual) for r in dead["rounds"]]
    calm = [o for o, r in zip(off, dead["rounds"], strict=True) if not r["is_probe"]]
    worst, calm_worst = max(max(o) for o in off), max(max(o) for o in calm)
    ordinary = max(max(_off(r, usual)) for r in healthy["rounds"])
    missing = sum(UNITS - 1 - len(o) for o in off)
    text = (
        f"{worst * 1000:.0f} ms at worst, {calm_worst * 1000:.0f} between probes "
        f"({ordinary * 1000:.0f} without a dead unit)"
    )
    text += f" · {missing} readings missing" if missing else ""
    met = worst - ordinary <= 0.050 and not missing
    target = "≤ 50 ms more than without"
    bench.tell(f"dead unit · {way} · the others late by", text, target, met=met)


def _off(one: Result, usual: dict[str, float]) -> list[float]:
    return [lag - usual[device] for device, lag in one["lags"].items()]
