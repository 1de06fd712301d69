"""Push: every answer a server, a proxy or nobody may give, tokens, TLS, and the pace."""

import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

from contract.clock import SystemClock
from contract.errors import DeliveryError
from contract.line import parse_line
from edge.clock import AgentClock, KeptTime, Look, ThisMachine
from edge.config import AgentConfig, CopyConfig, PushConfig
from edge.outbox import Bounds, Outbox, Terms
from edge.push import Pusher
from edge.push.answers import retry_after_s
from edge.push.pace import Pace
from tests.edge.certificate import Certificate, make_certificate
from tests.edge.http_sink import Answer, Sink
from tests.edge.test_push import OK, line

WIDE = Bounds(10**9, 10**15)
FAST = {"replay_share": 1, "replay_bytes_per_s": 1e12}


def box_of(folder: Path, rounds: list[list[str]], **more: object) -> Outbox:
    box = Outbox(folder / "o.db", WIDE, Terms(3600), **more)  # type: ignore[arg-type] # copies
    for i, lines in enumerate(rounds):
        box.put("bus", 1000 * i, lines, len(lines))
        box.commit()
    return box


def config(folder: Path, url: str, **push: object) -> AgentConfig:
    (folder / "token").write_text("t1")
    return AgentConfig.model_validate(
        {
            "site": "s",
            "agent": "a1",
            "outbox": {"path": str(folder / "o.db")},
            "push": {"url": url, "token_file": str(folder / "token"), **FAST, **push},
            "connections": [{"id": "c", "driver": "modbus-tcp", "host": "h"}],
            "devices": [{"id": "E01", "connection": "c", "profile": "eastron/sdm630"}],
        }
    )


def pusher(folder: Path, url: str, rounds: list[list[str]], **push: object) -> Pusher:
    return Pusher(config(folder, url, **push), box_of(folder, rounds), SystemClock())


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"Content-Type": "text/html"}, b"<html>please log in</html>"),
        (200, {}, b""),
        (302, {"Location": "http://127.0.0.1:9/login"}, b""),
        (202, {}, b"{}"),
        (511, {}, b"network authentication required"),
        (408, {}, b""),
        (418, {}, b"teapot"),
    ],
)
def test_only_204_is_an_acceptance(tmp_path: Path, answer: Answer) -> None:
    with Sink(lambda _: answer) as sink:
        push = pusher(tmp_path, sink.url, [[line(1)]])
        with pytest.raises(DeliveryError) as caught:
            push.push()
    assert not caught.value.permanent
    assert str(answer[0]) in str(caught.value)
    assert push.outbox.waiting()[0] == 1
    assert sink.posts == 1


def test_a_login_page_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    with Sink(lambda _: (200, {}, b"<html>" + b" " * 30_000_000)) as sink:
        push = pusher(tmp_path, sink.url, [[line(1)]])
        with pytest.raises(DeliveryError, match="not a store's answer"):
            push.push()
    assert push.outbox.waiting()[0] == 1


NOW_MS = 1_767_225_600_000  # 2026-01-01 00:00:00 UTC


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Thu, 01 Jan 2026 00:01:30 GMT"}, 90.0),
        ({"Retry-After": "Wed, 31 Dec 2025 23:00:00 GMT"}, 0.0),
        # a Pi that believes it is another year holds the server's date against the server's clock
        ({"Retry-After": "Fri, 02 Jan 2026 00:00:20 GMT",
          "Date": "Fri, 02 Jan 2026 00:00:00 GMT"}, 20.0),
        ({"Retry-After": "99999999999"}, 3600.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOW_MS) == seconds


def test_the_back_off_grows_is_capped_and_differs_between_agents() -> None:
    def waits() -> list[float]:
        pace = Pace(SystemClock(), 400_000, 10, 1, 1e12)
        return [pace.failed(DeliveryError("", permanent=False)) for _ in range(15)]

    one, other = waits(), waits()
    assert one != other
    assert one[0] <= 1
    assert 2**5 / 2 <= one[5] <= 2**5
    assert 150 <= one[-1] <= 300


def test_a_token_that_was_renewed_is_read_again(tmp_path: Path) -> None:
    seen: list[str] = []
    with Sink(lambda _: OK) as sink:
        push = pusher(tmp_path, sink.url, [[line(1)]])
        sink.authorize = lambda told: seen.append(told) or told == "Token t2"  # type: ignore[func-returns-value] # both
        with pytest.raises(DeliveryError) as caught:
            push.push()
        assert caught.value.permanent
        assert seen == ["Token t1"]  # the same token is not tried twice
        (tmp_path / "token").write_text("t2\n")
        push.push()  # what was refused once has joined the backlog
    assert seen == ["Token t1", "Token t1", "Token t2"]
    assert push.outbox.waiting()[0] == 0


def test_a_token_file_that_is_gone_is_our_settings(tmp_path: Path) -> None:
    push = pusher(tmp_path, "http://127.0.0.1:9", [[line(1)]])
    (tmp_path / "token").unlink()
    with pytest.raises(DeliveryError, match="no token") as caught:
        push.push()
    assert caught.value.permanent


def drained(push: Pusher, most: int = 200) -> None:
    for _ in range(most):
        if not push.push().more:
            return
    raise AssertionError("it does not end")


def test_a_parcel_too_large_as_it_is_goes_in_parts(tmp_path: Path) -> None:
    def script(lines: list[str]) -> Answer:
        return (413, {}, b"") if len(lines) > 30 or any("HUGE" in ln for ln in lines) else OK

    lines = [line(i, "HUGE" if i == 77 else "E01") for i in range(100)]
    with Sink(script) as sink:
        push = pusher(tmp_path, sink.url, [lines])
        drained(push)
    assert sorted(set(sink.data())) == sorted(ln for ln in lines if "HUGE" not in ln)
    assert [r.line for r in push.outbox.quarantined()] == [lines[77]]
    receipts = [ln for ln in sink.kept if ln.startswith("delivery")]
    assert receipts
    assert sink.kept[-1] in receipts  # said when all of it had arrived


def test_a_damaged_body_is_set_aside_and_blocks_nobody(tmp_path: Path) -> None:
    with Sink(lambda _: OK) as sink:
        push = pusher(tmp_path, sink.url, [[line(1)], [line(2)], [line(3)]])
        parcels = push.outbox.take(10**9)
        with closing(sqlite3.connect(push.outbox.path, isolation_level=None)) as db:
            db.execute(
                "UPDATE parcel SET body = CAST(x'1f8b0800' || body AS BLOB) WHERE position = 2"
            )
        drained(push)
    assert sorted(set(sink.data())) == [line(1), line(3)]
    (one,) = push.outbox.quarantined()
    assert (one.sequence, one.reason) == (parcels[1].sequence, "damaged on disk")


def test_what_is_new_goes_before_the_backlog(tmp_path: Path) -> None:
    box = box_of(tmp_path, [[line(i)] for i in range(50)])
    box.close()
    with Sink(lambda _: OK) as sink:
        push = pusher(tmp_path, sink.url, [], batch_bytes=1000)
        push.outbox.put("bus", 10**6, [line(1000)], 1)
        push.outbox.commit()
        assert push.push().readings == 1
        assert sink.data() == [line(1000)]
        drained(push)
    assert sink.data() == [line(1000), *(line(i) for i in range(50))]
    spans = [parse_line(ln).fields for ln in sink.kept if ln.startswith("delivery")]
    assert (spans[0]["sequence_first"], spans[0]["sequence_last"]) == (51, 51)
    ranges = [(f["sequence_first"], f["sequence_last"]) for f in spans[1:]]
    assert ranges[0][0] == 1
    assert ranges[-1][1] == 50
    assert all(b[0] == a[1] + 1 for a, b in pairwise(ranges))


def test_the_backlog_keeps_to_its_share_and_never_delays_a_tick(tmp_path: Path) -> None:
    box_of(tmp_path, [[line(i)] for i in range(50)]).close()
    with Sink(lambda _: OK) as sink:
        push = pusher(tmp_path, sink.url, [], batch_bytes=1000, replay_bytes_per_s=1000,
                      interval_s=5)  # fmt: skip
        first = push.push()
        assert first.readings > 0
        assert first.more
        assert 0 < first.wait_s <= 5
        waiting = push.push()
        assert (waiting.readings, waiting.more) == (0, True)
        push.outbox.put("bus", 10**6, [line(1000)], 1)
        push.outbox.commit()
        assert push.push().readings == 1  # what is new does not wait for the pace
    assert sink.data()[-1] == line(1000)


def test_after_an_outage_agents_do_not_come_all_at_once() -> None:
    class Clock:
        now_s = 0.0

        def now_ms(self) -> int:
            return 0

        def monotonic_s(self) -> float:
            return self.now_s

    rests = []
    for _ in range(20):
        clock = Clock()
        pace = Pace(clock, 400_000, 10, 1, 1e12)
        pace.failed(DeliveryError("", permanent=False))
        clock.now_s = 3600
        pace.delivered(100, 0.01, is_replay=False)
        rests.append(pace.replay_in_s())
    assert 0 <= min(rests) < max(rests) <= 60
    assert len(set(rests)) == 20


def test_a_batch_grows_and_shrinks_with_what_the_server_bears() -> None:
    pace = Pace(SystemClock(), 400_000, 10, 1, 1e12)
    for _ in range(3):
        pace.delivered(400_000, 9.0, is_replay=True)
    assert pace.batch_bytes == 50_000
    pace.delivered(50_000, 0.1, is_replay=True)
    assert pace.batch_bytes == 100_000
    pace.shrink(80_000)
    assert pace.batch_bytes == 40_000
    for _ in range(50):
        pace.delivered(40_000, 9.0, is_replay=True)
    assert pace.batch_bytes == 4000
    for _ in range(50):
        pace.delivered(4000, 0.1, is_replay=True)
    assert pace.batch_bytes == 400_000


def test_a_copy_has_its_own_server_and_its_own_pace(tmp_path: Path) -> None:
    with Sink(lambda _: OK) as primary, Sink(lambda _: (503, {}, b"")) as other:
        whole = config(tmp_path, primary.url)
        copy = CopyConfig.model_validate(
            {"id": "province", "url": other.url, "token_file": whole.push.token_file, **FAST}
        )
        box = box_of(tmp_path, [[line(1)], [line(2)]], copies={"province": WIDE})
        main = Pusher(whole, box, SystemClock())
        side = Pusher(whole, box, SystemClock(), copy, "province")
        main.push()
        with pytest.raises(DeliveryError):
            side.push()
        assert box.waiting() == (0, 0)
        box.put("bus", 2000, [line(3)], 1)
        box.commit()
        main.push()
        other.script = lambda _: OK
        while side.push().readings:
            pass
    assert primary.data() == [line(1), line(2), line(3)]
    assert sorted(other.data()) == [line(1), line(2), line(3)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_sink(certificate: Certificate) -> Iterator[Sink]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    with Sink(lambda _: OK, context=context) as sink:
        yield sink


@pytest.mark.parametrize("how", ["ca_file", "pin"])
def test_a_private_authority_or_a_pinned_certificate_is_trusted(
    tmp_path: Path, tls_sink: Sink, certificate: Certificate, how: str
) -> None:
    trust: dict[str, object] = {"ca_file": str(certificate.authority)}
    if how == "pin":
        trust = {"pin_sha256": certificate.fingerprint}
    push = pusher(tmp_path, tls_sink.url, [[line(1)]], **trust)
    assert push.push().readings == 1
    assert tls_sink.data() == [line(1)]


@pytest.mark.parametrize("trust", [{}, {"pin_sha256": "ab" * 32}])
def test_any_other_certificate_is_not(
    tmp_path: Path, tls_sink: Sink, trust: dict[str, object]
) -> None:
    push = pusher(tmp_path, tls_sink.url, [[line(1)]], **trust)
    with pytest.raises(DeliveryError, match="no answer"):
        push.push()
    assert tls_sink.posts == 0
    assert push.outbox.waiting()[0] == 1


class OtherWall:
    """This machine, were its wall clock years behind and nobody there to set it."""

    def __init__(self) -> None:
        self.boot_id, self.real = "b", ThisMachine()
        self.uptime_ms = self.real.uptime_ms

    async def ask_daemon(self) -> None:
        pass

    def look(self) -> Look:
        return replace(self.real.look(), wall_ms=0.0, is_synced=False, is_rtc_kept=False)


@pytest.mark.parametrize("trust", ["server", "ntp"])
def test_a_certificate_is_not_judged_by_a_clock_that_does_not_know_the_time(
    tmp_path: Path, trust: Literal["server", "ntp"]
) -> None:
    found = make_certificate(tmp_path, days=-2)  # expired, as it seems to a wrong clock
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(found.chain, found.key)
    clock = AgentClock(KeptTime(tmp_path / "clock.json"), OtherWall(), trust)
    with Sink(lambda _: OK, context=context) as sink:
        whole = config(tmp_path, sink.url, ca_file=str(found.authority))
        push = Pusher(whole, box_of(tmp_path, [[line(1)]]), clock)
        if trust == "ntp":  # somebody will tell the time; until then a date is a date
            with pytest.raises(DeliveryError, match="expired"):
                push.push()
            assert clock.heard_age_s() is None
        else:
            assert push.push().readings == 1
            assert clock.heard_age_s() is not None


@pytest.mark.parametrize(
    ("more", "fix"),
    [
        ({"pin_sha256": "abc"}, "openssl"),
        ({"pin_sha256": "ab" * 32}, "https"),
    ],
)
def test_a_pin_is_checked_at_the_door(tmp_path: Path, more: dict[str, str], fix: str) -> None:
    url = "https://h" if fix == "openssl" else "http://h"
    with pytest.raises(ValueError, match=fix):
        PushConfig.model_validate({"url": url, "token_file": str(tmp_path / "t"), **more})
