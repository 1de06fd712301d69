"""A configuration goes from the officer's key to a running agent, with the real programs."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from simulators.demo import Run, prepare, start_agent, start_server, start_simulator
from simulators.ports import free_port
from simulators.stage import Stage, stage

PATIENCE_S = 120.0
SEED, MONTHS, AGENT = 5, 1, "a1"


def server_says(run: Run, *args: str, code: int = 0) -> str:
    """Run compound-server beside the server."""
    program = Path(sys.executable).parent / "compound-server"
    done = subprocess.run(
        [program, *args], cwd=run.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, (args, done.stdout, done.stderr)
    return done.stdout


def push(run: Run, content: dict[str, Any], reason: str) -> str:
    """Sign and offer a configuration; give its text."""
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    (run.folder / "next.yaml").write_text(text, "utf-8")
    named = ("--key", "officer.key", "--config", "server.yaml", "--reason", reason)
    server_says(run, "agents", "config", "push", AGENT, "next.yaml", *named)
    return text


def states(run: Run) -> list[str]:
    """Give what the agent said of the newest configuration, oldest first."""
    found = run.client.get(f"/api/v1/agents/{AGENT}")["config_states"]
    newest = max((s["serial"] for s in found), default=0)
    return [s["state"] for s in found if s["serial"] == newest]


def wait_for(run: Run, it: Stage, state: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while state not in states(run):
        assert time.monotonic() < deadline, (state, states(run), it.tail(AGENT, 40))
        time.sleep(0.5)


def wait_for_polls(run: Run, it: Stage, device: str) -> None:
    """Wait until the agent has sent readings of a time from now on."""
    after_ms, deadline = round(time.time() * 1000), time.monotonic() + PATIENCE_S
    asked: dict[str, Any] = {"device": device, "measurand": "energy_import_kwh"}
    span = {"from": after_ms, "to": after_ms + 3_600_000}
    while not run.client.get("/api/v1/readings", **asked, **span)["times_ms"]:
        assert time.monotonic() < deadline, it.tail(AGENT, 40)
        time.sleep(0.5)


def set_up(run: Run) -> dict[str, Any]:
    """Give the agent a key and let it ask often."""
    file = run.folder / f"{AGENT}.yaml"
    server_says(run, "agents", "config", "keygen", "--out", "officer.key")
    content: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    content["fleet"] = {"public_key_file": "./officer.key.pub", "interval_s": 10, "trial_s": 10}
    file.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), "utf-8")
    return content


def test_a_configuration_is_confirmed_refused_or_rolled_back_by_the_agent_itself(
    tmp_path: Path,
) -> None:
    run = prepare(tmp_path / "run", SEED, MONTHS, 0)
    file = run.folder / f"{AGENT}.yaml"
    with stage(run.folder) as it:
        start_simulator(it, run, SEED, MONTHS)
        start_server(it, run)
        content = set_up(run)
        start_agent(it, run, AGENT)
        wait_for_polls(run, it, content["devices"][0]["id"])

        good = push(run, {**content, "interval_s": 10}, "十秒一次")
        wait_for(run, it, "confirmed")
        assert file.read_text("utf-8") == good

        push(run, {**content, "interval_s": -1}, "错误的间隔")
        wait_for(run, it, "refused")
        assert file.read_text("utf-8") == good

        nobody = [{**c, "port": free_port()} for c in content["connections"]]
        push(run, {**content, "connections": nobody}, "错误的端口")
        wait_for(run, it, "rolled_back")
        assert file.read_text("utf-8") == good
        wait_for_polls(run, it, content["devices"][0]["id"])  # with what it had
        history = server_says(run, "agents", "config", "history", AGENT, "--config", "server.yaml")
        assert all(reason in history for reason in ("十秒一次", "错误的间隔", "错误的端口"))
