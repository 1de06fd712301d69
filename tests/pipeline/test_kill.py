"""Kill -9 of agents and server at random during a live run: no slot missing, none doubled."""

import random
import socket
import time
from pathlib import Path

import pytest

from contract.clock import SystemClock
from edge.outbox import COMMIT_INTERVAL_S
from edge.status import ask, socket_path
from simulators.demo import (
    AGENTS,
    INTERVAL_S,
    Run,
    prepare,
    start_agent,
    start_server,
    start_simulator,
)
from simulators.layout import SimMeter
from simulators.stage import Stage, stage
from simulators.truth_checks import Live, live_energy
from tests.pipeline.agent_lives import Lives

RUN_S = 120.0
DRAIN_S = 60.0
LEAST_SLOTS = 6  # each agent outlives, for the run to have proved something
SEED, MONTHS = 11, 1


def kill_at_random(it: Stage, run: Run, rng: random.Random, lives: Lives) -> dict[str, int]:
    """Kill for RUN_S, and on until all have been killed and each agent has lived for some slots."""
    kills, until_s = dict.fromkeys((*AGENTS, "server"), 0), time.monotonic() + RUN_S
    while (
        time.monotonic() < until_s
        or not all(kills.values())
        or any(len(lives.whole_slots(agent)) < LEAST_SLOTS for agent in AGENTS)
    ):
        time.sleep(rng.uniform(4, 9))
        victim = rng.choice([*AGENTS, "server"])
        if victim in AGENTS:
            lives.ends(it, victim)
        it.kill(victim)
        kills[victim] += 1
        if victim == "server":
            time.sleep(rng.uniform(0, 3))
            start_server(it, run)
        else:
            lives.was_killed(victim)
            start_agent(it, run, victim)
    return kills


def is_waiting(folder: Path, agent: str) -> bool:
    try:
        values = ask(socket_path(folder / f"{agent}.outbox.db"))["values"]
    except OSError:  # it has not begun to answer
        return True
    return bool(values["outbox_rounds"])


def told_without_value(run: Run, live: Live, meter: SimMeter) -> set[int]:
    """Give the slots at which a meter was asked in vain: its line has a lag, but no value.

    The agent's health of a device may have a line of the same slot: then only one that has lost
    time waiting for the device says so.
    """
    lags = set(live.lags(run.client, meter))
    health = live.series(run.client, meter.id, "device_lost_s")
    in_vain = dict(zip(health["times_ms"], health["values"], strict=True))
    return {t for t in lags if in_vain.get(t, 1.0) > 0}


def assert_every_owed_slot_is_there_once(
    it: Stage, run: Run, live: Live, lives: Lives, kills: dict[str, int]
) -> None:
    """A slot is owed when it was found durable, when its agent outlived its round and commit, or
    when a later one of the same life is there.  How long a restart takes is the machine's affair:
    what nobody polled is not lost, nor is what the agent itself says it has missed.
    """
    for agent in AGENTS:
        whole, missed = lives.whole_slots(agent), lives.said_missed(it, agent)
        meters = {d: bus for d, bus in lives.devices(agent).items() if d in run.compound.meters}
        assert meters, agent
        for name, bus in meters.items():
            meter = run.compound.meters[name]
            times = live.readings(run.client, meter)["times_ms"]
            assert len(times) == len(set(times)), (name, "doubled")
            told = set(times) | told_without_value(run, live, meter)
            lost = lives.durable[name, meter.measurand] - set(times)
            lost |= (whole | lives.slots_between(agent, told)) - told - missed[bus]
            assert not lost, (name, sorted(lost), lives.spans_ms[agent], kills)


@pytest.mark.slow
@pytest.mark.timeout(900)  # it goes on until every agent has lived for some slots
def test_kills_at_random_lose_no_slot_and_double_none(tmp_path: Path) -> None:
    run = prepare(tmp_path / "run", SEED, MONTHS, 0)
    with stage(run.folder) as it:
        start_simulator(it, run, SEED, MONTHS)
        start_server(it, run)
        live = Live(AGENTS, INTERVAL_S * 1000, SystemClock().now_ms())
        lives = Lives(run.folder, INTERVAL_S * 1000, round(COMMIT_INTERVAL_S * 1000))
        for agent in AGENTS:
            start_agent(it, run, agent)
        kills = kill_at_random(it, run, random.Random(SEED), lives)
        time.sleep(2 * INTERVAL_S)
        for agent in AGENTS:
            lives.ends(it, agent)
            assert it.stop(agent) == 0, it.tail(agent)
            start_agent(it, run, agent)
        deadline = time.monotonic() + DRAIN_S
        while any(is_waiting(run.folder, a) for a in AGENTS) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert_every_owed_slot_is_there_once(it, run, live, lives, kills)
        meters = list(run.compound.meters.values())
        for check in live_energy(run.client, run.compound, meters, live):
            assert check.holds, check


@pytest.mark.parametrize("months", [2])
def test_the_demo_ends_well_and_every_check_of_it_holds(
    tmp_path: Path, months: int, capfd: pytest.CaptureFixture[str]
) -> None:
    from simulators.cli import main

    folder = tmp_path / "demo"
    assert main(["demo", "--once", "--months", str(months), "--dir", str(folder)]) == 0
    assert "✗" not in capfd.readouterr().out
    assert list(folder.glob("report-*.docx"))


def test_a_port_that_is_taken_stops_the_demo_with_a_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from simulators.cli import main

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        folder = str(tmp_path / "demo")
        options = ["--once", "--months", "1", "--dir", folder, "--port", port]
        assert main(["demo", *options]) == 1
    said = capfd.readouterr().err
    assert port in said
    assert "Traceback" not in said
