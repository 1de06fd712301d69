"""Kill -9 of agents and server at random during a live run: no slot missing, none doubled."""

import random
import socket
import time
from pathlib import Path

import pytest

from contract.clock import SystemClock
from edge.agent import HEALTH_INTERVAL_MS
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
from simulators.stage import Stage, stage
from simulators.truth_checks import Live, live_energy
from tests.pipeline.agent_lives import Lives

RUN_S = 120.0
DRAIN_S = 30.0
SEED, MONTHS = 11, 1


def kill_at_random(
    it: Stage, run: Run, rng: random.Random, until_s: float, lives: Lives
) -> dict[str, int]:
    kills = dict.fromkeys((*AGENTS, "server"), 0)
    while time.monotonic() < until_s:
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


def assert_every_owed_slot_is_there_once(
    run: Run, live: Live, lives: Lives, kills: dict[str, int]
) -> None:
    """A slot is owed when it was found durable, or when its agent lived from its beginning to its
    commit.  How long a restart takes is the machine's affair: what nobody polled is not lost.
    """
    for agent in AGENTS:
        whole = lives.whole_slots(agent)
        assert len(whole) >= RUN_S / INTERVAL_S / 4, (agent, lives.spans_ms[agent])
        meters = [d for d in lives.devices(agent) if d in run.compound.meters]
        assert meters, agent
        for name in meters:
            meter = run.compound.meters[name]
            times = live.readings(run.client, meter)["times_ms"]
            assert len(times) == len(set(times)), (name, "doubled")
            lost = lives.durable[name, meter.measurand] - set(times)
            # a device that was asked and did not answer has a line without a value
            asked = {t for t in live.lags(run.client, meter) if t % HEALTH_INTERVAL_MS}
            lost |= whole - set(times) - asked
            assert not lost, (name, sorted(lost), lives.spans_ms[agent], kills)


def test_kills_at_random_lose_no_slot_and_double_none(tmp_path: Path) -> None:
    run = prepare(tmp_path / "run", SEED, MONTHS, 0)
    with stage(run.folder) as it:
        start_simulator(it, run, SEED, MONTHS)
        start_server(it, run)
        live = Live(AGENTS, INTERVAL_S * 1000, SystemClock().now_ms())
        lives = Lives(run.folder, INTERVAL_S * 1000, round(COMMIT_INTERVAL_S * 1000))
        for agent in AGENTS:
            start_agent(it, run, agent)
        kills = kill_at_random(it, run, random.Random(SEED), time.monotonic() + RUN_S, lives)
        time.sleep(2 * INTERVAL_S)
        for agent in AGENTS:
            lives.ends(it, agent)
            assert it.stop(agent) == 0, it.tail(agent)
            start_agent(it, run, agent)
        deadline = time.monotonic() + DRAIN_S
        while any(is_waiting(run.folder, a) for a in AGENTS) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert all(n > 0 for n in kills.values()), kills
        assert_every_owed_slot_is_there_once(run, live, lives, kills)
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
