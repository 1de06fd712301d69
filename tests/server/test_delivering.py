"""Delivering: stored first, sent at the channel's pace, never again once its word is stored."""

import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from contract.errors import DeliveryError
from server.jobs.delivering import Deliverer
from server.notify.model import Channel, ChannelKind, Group, Notifier, NotifyPlan
from server.state import State, open_state
from server.state.outbound import NewMessage
from tests.server.alert_cases import NOON, MovableClock
from tests.server.killed_deliverers import A_TRIAL
from tests.server.robots import Robot, running_robot

MINUTE_MS = 60_000


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 's.db'}"


@pytest.fixture
def state(url: str) -> Iterator[State]:
    opened = open_state(url)
    yield opened
    opened.close()


@dataclass
class Ear:
    """A notifier that keeps what it hears, and fails as told."""

    heard: list[str] = field(default_factory=list)
    errors: list[DeliveryError] = field(default_factory=list)

    def send(self, title: str, body: str) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.heard.append(body)


CHANNEL = Channel("r", ChannelKind.CONSOLE)
PLAN = NotifyPlan((CHANNEL,), (Group("g", ("r",)),))


def deliverer(state: State, clock: MovableClock, ear: Notifier, owner: str = "one") -> Deliverer:
    def opener(_: Channel, __: Callable[[], int]) -> Notifier:
        return ear

    return Deliverer(state, PLAN, clock, owner, opener=opener)


def enqueue(state: State, number: int, due_ms: int = NOON) -> None:
    new = [
        NewMessage("r", f"m{n}", "urgent", "【节能提醒】", f"m{n}", due_ms) for n in range(number)
    ]
    assert state.outbound.plan((), new, due_ms)


def test_a_message_taken_is_not_sent_again_by_anybody(state: State) -> None:
    enqueue(state, 1)
    clock, ear = MovableClock(), Ear()
    assert deliverer(state, clock, ear).deliver() == 1
    clock.at_ms += 10 * MINUTE_MS
    assert deliverer(state, clock, ear, "two").deliver() == 0
    assert ear.heard == ["m0"]


def test_a_message_about_the_same_is_stored_once(state: State) -> None:
    enqueue(state, 1)
    again = NewMessage("r", "m0", "urgent", "t", "b", NOON)
    assert not state.outbound.plan((), [again], NOON)


def test_a_claimed_message_is_left_alone_until_the_claim_runs_out(state: State) -> None:
    enqueue(state, 1)
    assert state.outbound.claim("r", "killed", NOON, NOON + 120_000) is not None
    clock, ear = MovableClock(NOON + 120_000), Ear()
    assert deliverer(state, clock, ear).deliver() == 0
    clock.at_ms += 1
    assert deliverer(state, clock, ear).deliver() == 1


def test_a_failure_is_tried_again_later_and_later(state: State) -> None:
    enqueue(state, 1)
    clock, ear = MovableClock(), Ear(errors=[DeliveryError("down", permanent=False)] * 3)
    sender = deliverer(state, clock, ear)
    waits = []
    for _ in range(3):
        assert sender.deliver() == 0
        due_ms = state.outbound.messages()[0].due_ms
        waits.append(due_ms - clock.at_ms)
        clock.at_ms = due_ms - 1
        assert sender.deliver() == 0
        clock.at_ms = due_ms
    assert waits == [30_000, 60_000, 120_000]
    assert sender.deliver() == 1


def test_a_refusal_for_good_holds_nothing_up_and_waits_for_a_person(state: State) -> None:
    enqueue(state, 2)
    clock, ear = MovableClock(), Ear(errors=[DeliveryError("keyword", permanent=True)])
    sender = deliverer(state, clock, ear)
    assert sender.deliver() == 1
    assert state.outbound.counts() == {"delivered": 1, "refused": 1}
    assert state.outbound.messages("refused")[0].error == "keyword"
    assert state.outbound.retry_refused(clock.at_ms) == 1
    assert sender.deliver() == 1
    assert ear.heard == ["m1", "m0"]


def test_a_channel_that_asks_for_silence_gets_it_and_its_messages_wait(state: State) -> None:
    enqueue(state, 3)
    slow = DeliveryError("too fast", permanent=False, retry_after_s=600)
    clock, ear = MovableClock(), Ear(errors=[slow])
    sender = deliverer(state, clock, ear)
    assert sender.deliver() == 0
    clock.at_ms += 600_000 - 1
    assert sender.deliver() == 0
    assert ear.heard == []
    clock.at_ms += 1
    sender.deliver()
    assert ear.heard != []


def test_no_minute_sees_more_than_the_channel_takes_though_two_servers_send(state: State) -> None:
    enqueue(state, 90)
    clock, ear = MovableClock(), Ear()
    two = [deliverer(state, clock, ear, owner) for owner in ("one", "two")]
    sent: list[int] = []
    for _ in range(6 * 60):
        for sender in two:
            sent += [clock.at_ms] * sender.deliver()
        clock.at_ms += 1000
    assert len(sent) == 90
    assert max(sum(t <= u < t + MINUTE_MS for u in sent) for t in sent) <= 20


def test_a_real_robot_is_never_driven_into_its_block(state: State) -> None:
    clock = MovableClock()
    with running_robot("dingtalk", clock.monotonic_s) as robot:
        enqueue(state, 45)
        plan = NotifyPlan((Channel("r", ChannelKind.DINGTALK, robot.url),), ())
        sender = Deliverer(state, plan, clock, "one")
        for _ in range(300):
            sender.deliver()
            clock.at_ms += 1000
        assert len(robot.taken) == 45
        assert robot.blocked_until == 0.0


def test_a_robot_that_others_drove_into_its_block_gets_every_message_afterwards(
    state: State,
) -> None:
    clock = MovableClock()
    with running_robot("wecom", clock.monotonic_s) as robot:
        robot.times = [clock.monotonic_s()] * 20
        enqueue(state, 3)
        plan = NotifyPlan((Channel("r", ChannelKind.WECOM, robot.url),), ())
        sender = Deliverer(state, plan, clock, "one")
        for _ in range(15):
            sender.deliver()
            clock.at_ms += MINUTE_MS
        assert sorted(t.split("\n")[1] for t in robot.taken) == ["m0", "m1", "m2"]
        assert len(robot.calls) - len(robot.taken) <= 11


def watch(robot: Robot, database: str) -> list[str]:
    """Let a robot look, before it says that it took a message, whether that was stored already."""
    repeated: list[str] = []

    def look(text: str) -> None:
        number = re.findall(r"\[(m\d+)\]", text)[0]
        with sqlite3.connect(database, timeout=30) as db:
            query = "SELECT state FROM outbound WHERE dedupe = ?"
            ((stored,),) = db.execute(query, (number,)).fetchall()
        if stored == "delivered":
            repeated.append(number)

    robot.seen = look
    return repeated


@pytest.mark.slow
def test_killed_deliverers_lose_nothing_and_repeat_nothing_that_was_stored(
    url: str, tmp_path: Path
) -> None:
    trials, ticks = 110, count(step=10)
    open_state(url).close()
    with running_robot("wecom", lambda: float(next(ticks))) as robot:
        repeated = watch(robot, str(tmp_path / "s.db"))
        robot.answer_s = 0.04  # so that kills fall between its taking a message and our storing it
        command = [sys.executable, "-m", "tests.server.killed_deliverers"]
        ran = subprocess.run(
            [*command, url, robot.url, str(trials)], capture_output=True, text=True, check=False
        )
    assert ran.returncode == 0, ran.stderr
    killed = int(ran.stdout)
    taken = Counter(re.findall(r"\[(m\d+)\]", "".join(robot.taken)))
    assert killed >= 200
    assert set(taken) == {f"m{n}" for n in range(trials * A_TRIAL)}
    assert repeated == []
    assert 0 < sum(taken.values()) - len(taken) <= killed
