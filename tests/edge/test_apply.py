"""Apply: a new configuration is tried; the last good one comes back, whatever is cut when."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.errors import ConfigError
from edge.agent import read_config
from edge.apply import ConfigBook, State, Trial, begin, config_hash, durable, keep, stage, watch
from edge.apply import book as book_module
from edge.cli import main
from edge.outbox import Bounds, Outbox
from edge.poller import Bus
from edge.status import ask, socket_path
from tests.edge.test_poller_wire import Meters
from tests.edge.test_status import config_at, running, served, told
from tests.edge.virtual import ScriptedDriver, VirtualClock, in_virtual_time, unit


class PowerCutError(Exception):
    """The power is cut."""


def changed(config: Path, **more: Any) -> Path:
    """Write agent.yaml with other top-level values, as a new file elsewhere."""
    new = config.parent / "elsewhere" / "new.yaml"
    new.parent.mkdir(exist_ok=True)
    document = yaml.safe_load(config.read_text("utf-8")) | more
    new.write_text(yaml.safe_dump(document), "utf-8")
    return new


def staged(book: ConfigBook, new: Path) -> Trial:
    return stage(book, new, read_config, "test", 30)


def test_a_new_configuration_is_in_force_with_the_old_one_kept(tmp_path: Path) -> None:
    config = config_at(tmp_path, 1)
    config.chmod(0o640)
    old = config.read_bytes()
    book = ConfigBook(config)
    new = changed(config, interval_s=2)
    trial = staged(book, new)
    assert config.read_bytes() == new.read_bytes()
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert book.last_good.read_bytes() == old
    assert [p.stem[5:] for p in book.backups()] == [config_hash(old), trial.hash]
    assert book.trial() == trial
    told = book.outcome()
    assert told is not None
    assert told.state is State.STAGED


def test_confirming_makes_it_the_one_to_return_to(tmp_path: Path) -> None:
    config = config_at(tmp_path, 1)
    book = ConfigBook(config)
    trial = staged(book, changed(config, interval_s=2))
    book.confirm(trial, "")
    assert book.trial() is None
    assert book.last_good.read_bytes() == config.read_bytes()
    second = staged(book, changed(config, interval_s=3))
    book.roll_back(second, "no")
    assert book.hash() == trial.hash
    assert (told := book.outcome()) is not None
    assert (told.state, told.hash) == (State.ROLLED_BACK, second.hash)


def test_ten_backups_are_kept_each_change_once(tmp_path: Path) -> None:
    config = config_at(tmp_path, 1)
    book = ConfigBook(config)
    for i in range(15):
        config.write_text(config.read_text() + f"# {i}\n")
        keep(book)
        keep(book)
    names = [p.name[:4] for p in book.backups()]
    assert names == [f"{n:04d}" for n in range(6, 16)]
    assert book.backups()[-1].read_bytes() == config.read_bytes()


WRONG: dict[str, Callable[[Path], Path]] = {
    "devices": lambda c: changed(c, devices=[]),
    "outbox.path": lambda c: changed(c, outbox={"path": "./other.db"}),
    "(file)": lambda c: c.parent / "nowhere.yaml",
    "interval_s": lambda c: changed(c, interval_s=-1),
}


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_file_changes_nothing(
    key: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = config_at(tmp_path, 1)
    before = config.read_bytes()
    assert main(["apply", str(WRONG[key](config)), "--config", str(config)]) == 2
    said = capfd.readouterr().err
    assert f"› {key}" in said
    assert "Traceback" not in said
    assert config.read_bytes() == before
    assert ConfigBook(config).trial() is None


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ([], "NEW.yaml / --confirm"),
        (["n.yaml", "--confirm"], "NEW.yaml / --confirm"),
        (["n.yaml", "--within", "0"], "--within"),
        (["n.yaml", "--within", "nan"], "--within"),
    ],
)
def test_wrong_arguments_are_told(
    arguments: list[str], key: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", *arguments, "--config", str(config_at(tmp_path, 1))]) == 2
    assert key in capfd.readouterr().err


def test_only_one_configuration_is_tried_at_a_time(tmp_path: Path) -> None:
    config = config_at(tmp_path, 1)
    book = ConfigBook(config)
    staged(book, changed(config, interval_s=2))
    with pytest.raises(ConfigError, match="no other trial"):
        staged(book, changed(config, interval_s=3))


def test_a_file_broken_by_hand_is_never_the_one_to_return_to(tmp_path: Path) -> None:
    config = config_at(tmp_path, 1)
    good = config.read_bytes()
    book = ConfigBook(config)
    book.confirm(staged(book, changed(config, interval_s=2)), "")
    good, new = config.read_bytes(), changed(config, interval_s=3)
    config.write_text("site: [", "utf-8")
    staged(book, new)
    assert book.last_good.read_bytes() == good


def writes(counted: list[int], last: int) -> Callable[..., None]:
    """Give a write that works `last` times, and then the power is cut."""
    write = durable.write_durably

    def cut(path: Path, content: bytes, like: Path | None = None) -> None:
        counted[0] += 1
        if counted[0] > last:
            raise PowerCutError
        write(path, content, like)

    return cut


@pytest.mark.parametrize("last", range(12))
def test_a_power_cut_at_any_write_leaves_a_configuration_that_starts(
    last: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_at(tmp_path, 1)
    old, new = config.read_bytes(), changed(config, interval_s=2)
    with monkeypatch.context() as patched:
        patched.setattr(book_module, "write_durably", writes([0], last))
        try:
            book = ConfigBook(config)
            trial = staged(book, new)
            book.roll_back(trial, "no device")
        except PowerCutError:
            pass
    book = ConfigBook(config)
    assert begin(book, read_config).interval_s == yaml.safe_load(config.read_text())["interval_s"]
    assert config.read_bytes() in {old, new.read_bytes()}
    if config.read_bytes() == new.read_bytes():
        assert book.trial() is not None  # still on trial, with a way back
        assert book.last_good.read_bytes() == old
    else:
        assert book.trial() is None


def test_a_trial_goes_on_after_a_power_cut_but_not_for_ever(tmp_path: Path) -> None:
    config = config_at(tmp_path, 1)
    old = config.read_bytes()
    trial = staged(ConfigBook(config), changed(config, interval_s=2))
    for _ in range(3):
        assert begin(ConfigBook(config), read_config).interval_s == 2
    assert begin(ConfigBook(config), read_config).interval_s == 1
    book = ConfigBook(config)
    assert config.read_bytes() == old
    assert (told := book.outcome()) is not None
    assert (told.state, told.hash) == (State.ROLLED_BACK, trial.hash)


def test_a_configuration_that_cannot_start_any_more_goes_back_at_once(tmp_path: Path) -> None:
    config = config_at(tmp_path, 1)
    (tmp_path / "token2").write_text("t")
    push = {"url": "http://127.0.0.1:9", "token_file": "./token2"}
    staged(ConfigBook(config), changed(config, interval_s=2, push=push))
    (tmp_path / "token2").unlink()
    assert begin(ConfigBook(config), read_config).interval_s == 1
    assert ConfigBook(config).trial() is None


def test_a_wrong_file_without_a_trial_stops_the_start(tmp_path: Path) -> None:
    config = config_at(tmp_path, 1)
    keep(ConfigBook(config))
    config.write_text("site: [", "utf-8")
    with pytest.raises(ConfigError, match="YAML"):
        begin(ConfigBook(config), read_config)


def buses(silent: set[int]) -> list[Bus]:
    found = []
    for number in (1, 2):
        driver = ScriptedDriver()
        driver.silent = silent
        found.append(Bus(f"b{number}", driver, [unit(number)], 10_000))
    return found


@pytest.mark.parametrize(
    ("silent", "state", "at_s"),
    [(set(), State.CONFIRMED, 5), ({2}, State.CONFIRMED, 30), ({1, 2}, State.ROLLED_BACK, 30)],
)
def test_devices_that_answer_decide(
    silent: set[int], state: State, at_s: float, tmp_path: Path
) -> None:
    config = config_at(tmp_path, 1)
    book = ConfigBook(config)
    staged(book, changed(config, interval_s=2))
    ours = buses(silent)

    async def polls(clock: VirtualClock) -> None:
        while True:
            await asyncio.sleep(4)
            for bus in ours:
                await bus.poll_due(clock.now_ms() // 10_000 * 10_000, clock)

    async def run(clock: VirtualClock) -> tuple[bool, float]:
        polling = asyncio.create_task(polls(clock))
        is_back = await watch(book, ours, clock)
        ended_s = clock.monotonic_s()
        polling.cancel()
        return is_back, ended_s

    is_back, ended_s = in_virtual_time(run)
    assert is_back is (state is State.ROLLED_BACK)
    assert abs(ended_s - at_s) <= 2
    assert (told := book.outcome()) is not None
    assert told.state is state


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def rounds_of(config: Path) -> tuple[int, int]:
    box = Outbox(config.parent / "o.db", Bounds(10**9, 2**62))
    try:
        return box.waiting()[0], box.tally("dropped")
    finally:
        box.close()


def test_a_running_agent_takes_the_good_and_leaves_the_bad(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    meters = Meters(rtu=False)
    meters.silent = {2}
    with served(meters) as port:
        config = config_at(tmp_path, port)
        with running(config) as agent:
            told(config, "open")
            good = changed(config, interval_s=2)
            arguments = ["--config", str(config), "--within", "20"]
            assert main(["apply", str(good), *arguments]) == 0
            assert "已生效" in capfd.readouterr().err
            in_force = config.read_bytes()
            assert in_force == good.read_bytes()
            connections = yaml.safe_load(config.read_text())["connections"]
            dead = [connections[0] | {"port": 1}]
            bad = changed(config, connections=dead)
            assert main(["apply", str(bad), "--config", str(config), "--within", "2"]) == 1
            assert "已恢复原配置" in capfd.readouterr().err
            wait_for(lambda: reads_again(config, agent.pid))
            status = ask(socket_path(tmp_path / "o.db"))
    assert config.read_bytes() == in_force
    assert status["pid"] == agent.pid  # the same process, started again in place
    assert status["config"]["outcome"]["state"] == "rolled_back"
    rounds, dropped = rounds_of(config)
    assert rounds >= 3
    assert dropped == 0


def reads_again(config: Path, pid: int) -> bool:
    try:
        status = ask(socket_path(config.parent / "o.db"))
    except OSError:
        return False
    first = status["buses"][0]["devices"][0]
    return bool(status["pid"] == pid and first["last_good_age_s"] is not None)


def test_a_running_agent_sees_a_trial_that_nobody_told_it_of(tmp_path: Path) -> None:
    meters = Meters(rtu=False)
    meters.silent = {2}
    with served(meters) as port:
        config = config_at(tmp_path, port)
        with running(config) as agent:
            told(config, "open")
            trial = stage(ConfigBook(config), changed(config, interval_s=2), read_config, "test", 5)
            wait_for(lambda: ConfigBook(config).trial() is None)
            wait_for(lambda: reads_again(config, agent.pid))
    assert ConfigBook(config).hash() == trial.hash
    assert (outcome := ConfigBook(config).outcome()) is not None
    assert outcome.state is State.CONFIRMED


def test_an_agent_killed_on_trial_goes_back_by_itself_at_its_next_start(tmp_path: Path) -> None:
    meters = Meters(rtu=False)
    with served(meters) as port:
        config = config_at(tmp_path, port)
        old = config.read_bytes()
        connections = yaml.safe_load(config.read_text())["connections"]
        new = changed(config, connections=[connections[0] | {"port": 1}])
        stage(ConfigBook(config), new, read_config, "test", 5)
        with subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from edge.cli import main; main()",
                "run",
                "--config",
                str(config),
            ],
            stderr=subprocess.DEVNULL,
        ) as first:
            book = ConfigBook(config)
            wait_for(lambda: (trial := book.trial()) is not None and trial.starts == 1)
            first.send_signal(signal.SIGKILL)
        assert config.read_bytes() == new.read_bytes()
        with running(config) as agent:
            wait_for(lambda: book.trial() is None)
            wait_for(lambda: reads_again(config, agent.pid))
    assert config.read_bytes() == old


def test_a_confirmation_by_hand_ends_the_trial(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = config_at(tmp_path, 1)
    new = changed(config, interval_s=2)
    assert main(["apply", str(new), "--config", str(config)]) == 0
    assert "没有运行" in capfd.readouterr().err
    assert main(["apply", "--confirm", "--config", str(config)]) == 0
    assert main(["apply", "--confirm", "--config", str(config)]) == 1
    assert ConfigBook(config).last_good.read_bytes() == new.read_bytes()


def test_a_wrong_file_does_not_stop_a_running_agent_that_is_told_to_reload(
    tmp_path: Path,
) -> None:
    meters = Meters(rtu=False)
    meters.silent = {2}
    with served(meters) as port:
        config = config_at(tmp_path, port)
        with running(config) as agent:
            told(config, "open")
            config.write_text("site: [", "utf-8")
            agent.send_signal(signal.SIGHUP)
            path = socket_path(tmp_path / "o.db")
            wait_for(lambda: "config_refused" in json.dumps(ask(path)["errors"]))
            os.kill(agent.pid, 0)


def test_a_memory_that_cannot_be_read_is_no_trial(tmp_path: Path) -> None:
    config = config_at(tmp_path, 1)
    book = ConfigBook(config)
    staged(book, changed(config, interval_s=2))
    (book.folder / "trial.json").write_text("{", "utf-8")
    (book.folder / "outcome.json").write_text('{"state": "what"}', "utf-8")
    assert book.trial() is None
    assert book.outcome() is None
    assert begin(book, read_config).interval_s == 2
