"""Network faults between a whole agent and a durable store: what was said, and nothing is lost.

The agent is the real one with real meters; only its waits are short.  Each fault begins while all
goes well, lasts until it has been met several times, and is lifted; the agent has to recover by
itself.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from contract.clock import SystemClock
from contract.errors import DeliveryError
from edge.agent import Agent, open_outbox, read_config
from edge.config import AgentConfig
from edge.outbox import PRIMARY
from edge.push import Pusher
from tests.edge.certificate import Certificate, make_certificate
from tests.faults.catalogue import Fault
from tests.faults.evidence import Points, Verdict, compared, proof_of
from tests.faults.proxy import FaultProxy
from tests.faults.sink import DurableSink, lines_in
from tests.faults.site import INTERVAL_S, served_meters, write_agent
from tests.faults.source import commits_noted

TIMEOUT_S, LONGEST_S = 0.5, 120.0
SHORTEST_S = 0.5  # of a fault: two slots are read meanwhile
_SHORT_WAITS = {"BACKOFF_FIRST_S": 0.1, "BACKOFF_MAX_S": 0.4, "SETTINGS_WAIT_S": 0.3}
_NAME = "store.invalid"


@dataclass(frozen=True)
class Outcome:
    """What happened: the agent's words, how often it was met, and what came of it."""

    fault: Fault
    said: str
    failures: int
    verdict: Verdict
    quarantined: int
    dropped: int
    wrong_slots: int
    is_complete: bool

    @property
    def holds(self) -> bool:
        set_apart = self.quarantined or self.dropped or self.wrong_slots
        return self.verdict.is_exact and self.is_complete and not set_apart


@dataclass(frozen=True)
class Certificates:
    """Contexts by name, and the authorities that the agent trusts."""

    contexts: dict[str, ssl.SSLContext]
    authorities: Path

    @classmethod
    def make(cls, folder: Path) -> "Certificates":
        made: dict[str, Certificate] = {}
        for name in ("good", "expired", "elsewhere", "unknown"):
            (folder / name).mkdir()
            days = -2 if name == "expired" else 2
            address = "127.0.0.9" if name == "elsewhere" else "127.0.0.1"
            made[name] = make_certificate(folder / name, days, address, f"county {name}")
        contexts = {}
        for name, it in made.items():
            contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            contexts[name].load_cert_chain(it.chain, it.key)
        trusted = [it.authority.read_bytes() for name, it in made.items() if name != "unknown"]
        (folder / "authorities.pem").write_bytes(b"".join(trusted))
        return cls(contexts, folder / "authorities.pem")


class Names:
    """The resolver as this process sees it: it knows the store's name, but not always."""

    def __init__(self) -> None:
        self.is_broken = False
        self._real = socket.getaddrinfo

    def __call__(self, host: Any, *args: Any, **more: Any) -> Any:
        if host == _NAME and self.is_broken:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self._real("127.0.0.1" if host == _NAME else host, *args, **more)


@contextmanager
def short_waits(names: Names) -> Iterator[None]:
    """Let the agent wait tenths of seconds where it waits seconds and minutes."""
    with contextlib.ExitStack() as stack:
        for name, seconds in _SHORT_WAITS.items():
            stack.enter_context(patch(f"edge.push.pace.{name}", seconds))
        stack.enter_context(patch("socket.getaddrinfo", names))
        yield


def run(fault: Fault, folder: Path, shortest_s: float = SHORTEST_S) -> Outcome:
    """Put a fresh agent through one fault, which lasts for some seconds at least."""
    names, source = Names(), Points()

    def note(text: bytes) -> None:
        source.add(text.decode().split("\n"))

    store = DurableSink(folder / "stored", syncs=False)
    with store, short_waits(names), commits_noted(note):
        return asyncio.run(_through(fault, folder, store, names, source, shortest_s))


async def _through(
    fault: Fault, folder: Path, store: DurableSink, names: Names, source: Points, shortest_s: float
) -> Outcome:
    certificates = Certificates.make(folder) if fault.tls else None
    proxy = FaultProxy(store.port, certificates.contexts["good"] if certificates else None)
    await proxy.listen()
    config = await _config(fault, folder, proxy.port, certificates)
    began_ms, agent = SystemClock().now_ms(), Agent.build(config)
    task = asyncio.create_task(agent.run())
    await _until(lambda: store.posts > 0 and agent.outbox.waiting()[0] <= 1, "a first push")
    failed = agent.pushers[0].failures_total
    await _begin(fault, proxy, names, certificates)
    said = await _met(fault, agent, proxy, failed, shortest_s)
    failures = agent.pushers[0].failures_total - failed
    await _lift(fault, proxy, names)
    before = set(source.said)
    await _until(lambda: not agent.pushing[PRIMARY].error, "a push after the fault")
    await _until(lambda: _has(store, before), "all from before to arrive")
    agent.stopping.set()
    await task
    quarantined, dropped = await asyncio.to_thread(_drained, config)
    ended_ms = SystemClock().now_ms()
    proxy.cut()
    sink, stored = Points(), list(lines_in(store.path))
    sink.add(stored)
    wrong = [t for _, t in sink.said if not began_ms - INTERVAL_S * 1000 <= t <= ended_ms]
    return Outcome(
        fault, said, failures, compared(source, sink), quarantined, dropped, len(wrong),
        proof_of(config.agent, stored).is_complete,
    )  # fmt: skip


async def _config(
    fault: Fault, folder: Path, port: int, certificates: Certificates | None
) -> AgentConfig:
    push: dict[str, object] = {"timeout_s": TIMEOUT_S}
    if certificates is not None:
        push["ca_file"] = str(certificates.authorities)
    host = _NAME if fault.nameless else "127.0.0.1"
    url = f"{'https' if fault.tls else 'http'}://{host}:{port}"
    ports = await served_meters(SystemClock())
    return read_config(write_agent(folder, url, ports, push))


async def _begin(
    fault: Fault, proxy: FaultProxy, names: Names, certificates: Certificates | None
) -> None:
    proxy.talk, names.is_broken = fault.talk, fault.nameless
    if fault.nameless:
        proxy.hang_up()
    elif not fault.freezes:
        proxy.cut()
        if certificates is not None and fault.certificate is not None:
            await proxy.listen(certificates.contexts[fault.certificate])
        elif fault.talk is not None:
            await proxy.listen(plain=fault.plain)


async def _met(
    fault: Fault, agent: Agent, proxy: FaultProxy, failed: int, shortest_s: float
) -> str:
    """Wait until the agent has met the fault several times; give what it said of it."""
    began_s, said = time.monotonic(), ""
    is_up = False
    while True:
        said = agent.pushing[PRIMARY].error or said
        lasted_s = time.monotonic() - began_s
        failures = agent.pushers[0].failures_total - failed
        if lasted_s > shortest_s and (failures >= 2 if fault.fails else proxy.bitten >= 3):
            return said
        assert lasted_s < LONGEST_S, f"{fault.id} was not met: {failures} failures, {proxy.bitten}"
        await asyncio.sleep(0.15)
        if fault.flaps and (is_up := not is_up):
            await proxy.listen()
        elif fault.flaps:
            proxy.cut()


async def _lift(fault: Fault, proxy: FaultProxy, names: Names) -> None:
    proxy.talk, names.is_broken = None, False
    if not (fault.freezes or fault.nameless):
        proxy.cut()
        await proxy.listen()


async def _until(is_so: Callable[[], bool], what: str) -> None:
    until_s = time.monotonic() + LONGEST_S
    while not is_so():
        assert time.monotonic() < until_s, f"waited in vain for {what}"
        await asyncio.sleep(0.05)


def _has(store: DurableSink, keys: set[tuple[str, int]]) -> bool:
    there = Points()
    there.add(lines_in(store.path))
    return keys <= there.said.keys()


def _drained(config: AgentConfig) -> tuple[int, int]:
    """Send what the stopped agent has kept; give how many lines are set aside, parcels dropped."""
    box, until_s = open_outbox(config), time.monotonic() + LONGEST_S
    push = Pusher(config, box, SystemClock())
    while box.waiting()[0] and time.monotonic() < until_s:
        with suppress(DeliveryError):
            push.push()
    found = len(box.quarantined()), box.tally("dropped")
    box.close()
    return found


def plainly(said: str) -> str:
    """Give an agent's words without the numbers that differ from run to run."""
    said = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", said)
    said = re.sub(r"\(_ssl\.c:\d+\)|\(read timeout=[\d.]+\)", "", said)
    return re.sub(r"\s+", " ", said).strip()
