"""Two deliverers at once on one state database, each killed -9 at a seeded moment, again and again.

Run as a process of its own without threads, so that it may fork: URL ROBOT TRIALS.
"""

import os
import random
import signal
import sys
import time

from contract.clock import SystemClock
from server.jobs.delivering import Deliverer
from server.notify.model import Channel, ChannelKind, NotifyPlan
from server.notify.open import open_notifier
from server.state import open_state
from server.state.outbound import NewMessage

CLAIM_MS = 3000
A_TRIAL = 4


def enqueue(url: str, first: int, count: int) -> None:
    """Store messages that carry their number."""
    state, now_ms = open_state(url), SystemClock().now_ms()
    messages = [
        NewMessage("r", f"m{n}", "urgent", "【节能提醒】", f"[m{n}]", now_ms)
        for n in range(first, first + count)
    ]
    assert state.outbound.plan((), messages, now_ms)
    state.close()


def fork_deliverer(url: str, robot: str, owner: str, *, until_empty: bool = False) -> int:
    """Start a deliverer and wait until it is about to send; give its pid."""
    ready, say_ready = os.pipe()
    pid = os.fork()
    if pid:
        os.close(say_ready)
        os.read(ready, 1)
        os.close(ready)
        return pid
    channel = Channel("r", ChannelKind.WECOM, robot, per_minute=10_000_000)
    state = open_state(url)
    plan = NotifyPlan((channel,), ())
    notifier = open_notifier(channel, SystemClock().now_ms)
    deliverer = Deliverer(
        state, plan, SystemClock(), owner, claim_ms=CLAIM_MS, opener=lambda *_: notifier
    )
    os.write(say_ready, b"!")
    while True:
        deliverer.deliver()
        left = state.outbound.counts()
        if until_empty and not left.get("waiting") and not left.get("claimed"):
            os._exit(0)
        time.sleep(0.002)


def main(url: str, robot: str, trials: int) -> int:
    """Give the number of processes killed while they ran."""
    killed = 0
    for seed in range(trials):
        rng = random.Random(seed)
        enqueue(url, seed * A_TRIAL, A_TRIAL)
        pids = [fork_deliverer(url, robot, f"{seed}-{i}") for i in range(2)]
        for pid in pids:
            time.sleep(rng.uniform(0.0, 0.16))
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            _, status = os.waitpid(pid, 0)
            killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    last = fork_deliverer(url, robot, "last", until_empty=True)
    os.waitpid(last, 0)
    return killed


if __name__ == "__main__":
    sys.stdout.write(str(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
