"""The watch over the clock: looks, asks the server, gives held rounds their time, saves."""

import asyncio
import http.client
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from edge.clock.agent_clock import MARKS_SAVED_S, AgentClock
from edge.clock.marks import Holder

LOOK_S = 5.0
SAVE_S = 600.0
RELEASE_S = 60.0
ASK_FIRST_S, ASK_S = 10.0, 900.0
_ASK_TIMEOUT_S = 10.0
X509_NO_CHECK_TIME = 0x200000  # of OpenSSL; chain and name are checked all the same
Ask = Callable[[], tuple[str | None, float]]  # a Date header, and monotonic_s when it was asked for
log = structlog.get_logger()


async def watch_clock(clock: AgentClock, holder: Holder | None, ask: Ask) -> None:
    """Keep the clock true until cancelled; `ask` may block."""
    saved_s = ask_s = clock.monotonic_s()
    released_s, wait_s = -RELEASE_S, ASK_FIRST_S
    while True:
        became_known, now_s = await clock.look(), clock.monotonic_s()
        is_due = now_s - released_s >= RELEASE_S  # a round under way while the time became known
        if holder is not None and clock.is_known and (became_known or is_due):
            released_s = now_s
            await asyncio.to_thread(clock.release, holder)
        save_s = SAVE_S if clock.is_known else MARKS_SAVED_S
        if became_known or now_s - saved_s >= save_s:
            saved_s = now_s
            await asyncio.to_thread(clock.save)
        age_s = clock.heard_age_s()
        if now_s >= ask_s and (age_s is None or age_s >= ASK_S):
            await asyncio.to_thread(_asked, clock, ask)
            wait_s = ASK_FIRST_S if clock.heard_age_s() is not None else min(wait_s * 2, ASK_S)
            ask_s = clock.monotonic_s() + wait_s * random.uniform(0.8, 1.2)
        await asyncio.sleep(LOOK_S)


def _asked(clock: AgentClock, ask: Ask) -> None:
    try:
        date, sent_s = ask()
    except (OSError, http.client.HTTPException):
        return  # pushing says that the server cannot be reached
    clock.heard_date(date, sent_s)


def server_asker(
    url: str,
    ca_file: Path | None,
    monotonic_s: Callable[[], float],
    timeout_s: float = _ASK_TIMEOUT_S,
) -> Ask:
    """Give the question to a server what time it is: any answer's Date will do.

    timeout_s: to connect, and to be answered as a whole
    """
    at = urlsplit(url)

    def ask() -> tuple[str | None, float]:
        door = _door(at.scheme, at.hostname or "", at.port, ca_file, timeout_s)
        try:
            door.connect()
            with _broken_after(timeout_s, door.sock):
                sent_s = monotonic_s()
                door.request(
                    "GET", f"{at.path.rstrip('/')}/ping", headers={"Cache-Control": "no-store"}
                )
                answer = door.getresponse()
            return answer.getheader("Date") if answer.status < 500 else None, sent_s
        finally:
            door.close()

    return ask


@contextmanager
def _broken_after(seconds: float, connection: socket.socket) -> Iterator[None]:
    """Break a connection whose answer comes byte by byte: the clock waits for it.  TimeoutError."""
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        with suppress(OSError):  # it has gone by itself
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if is_over.is_set():  # a date cut in its midst is another date
        raise TimeoutError(f"not whole within {seconds:g} s")


def _door(
    scheme: str, host: str, port: int | None, ca_file: Path | None, timeout_s: float
) -> http.client.HTTPConnection:
    if scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.verify_flags |= X509_NO_CHECK_TIME  # the machine may believe in 1970
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
