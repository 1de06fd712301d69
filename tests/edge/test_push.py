"""Push: a round is forgotten only when the server keeps it, whatever the server answers."""

from pathlib import Path

import pytest

from contract.clock import SystemClock
from contract.errors import DeliveryError
from contract.line import parse_line
from edge.config import AgentConfig
from edge.outbox import Bounds, Outbox
from edge.push import Pusher
from tests.edge.http_sink import Answer, Sink, dripping_server

OK: Answer = (204, {}, b"")


def line(i: int, name: str = "E01") -> str:
    return f"electricity,device={name},site=s power_kw={float(i)} {1000 * i}"


def pusher(folder: Path, url: str, rounds: list[list[str]], timeout_s: float = 5) -> Pusher:
    (folder / "token").write_text("t")
    config = AgentConfig.model_validate(
        {
            "site": "s",
            "agent": "a1",
            "outbox": {"path": str(folder / "o.db")},
            "push": {
                "url": url,
                "token_file": str(folder / "token"),
                "timeout_s": timeout_s,
                "replay_share": 1,
                "replay_bytes_per_s": 1e12,
            },
            "connections": [{"id": "c", "driver": "modbus-tcp", "host": "h"}],
            "devices": [{"id": "E01", "connection": "c", "profile": "eastron/sdm630"}],
        }
    )
    box = Outbox(config.outbox.path, Bounds(10**9, 10**12))
    for i, lines in enumerate(rounds):
        box.put("bus", 1000 * i, lines, len(lines))
        box.commit()
    return Pusher(config, box, SystemClock())


def waiting(push: Pusher) -> int:
    push.outbox.commit()
    return Outbox(push.outbox.path, Bounds(10**9, 10**12)).waiting()[0]


def test_rounds_arrive_with_a_receipt_and_are_forgotten(tmp_path: Path) -> None:
    with Sink(lambda _: OK) as sink:
        push = pusher(tmp_path, sink.url, [[line(1)], [line(2)]])
        done = push.push()
    assert (done.readings, done.quarantined, done.more) == (2, 0, False)
    assert sink.data() == [line(1), line(2)]
    (receipt,) = [ln for ln in sink.kept if ln.startswith("delivery")]
    fields = parse_line(receipt).fields
    assert (fields["sequence_first"], fields["sequence_last"], fields["sequence_next"]) == (1, 2, 3)
    assert fields["outbox_id"] > 0
    assert waiting(push) == 0


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_refused_batch_is_kept(tmp_path: Path, status: int) -> None:
    with Sink(lambda _: (status, {"Retry-After": "7"}, b'{"message":"no"}')) as sink:
        push = pusher(tmp_path, sink.url, [[line(1)]])
        with pytest.raises(DeliveryError) as caught:
            push.push()
    assert caught.value.permanent == (status in {401, 403, 404})
    assert push.wait_s(caught.value) >= 7
    assert waiting(push) == 1


def test_poison_lines_are_found_and_everything_else_arrives(tmp_path: Path) -> None:
    def script(lines: list[str]) -> Answer:
        return (400, {}, b'{"message":"bad"}') if any("POISON" in ln for ln in lines) else OK

    rounds = [[line(i * 10 + j) for j in range(5)] for i in range(4)]
    rounds[1][3] = line(99, "POISON1")
    rounds[3][0] = line(98, "POISON2")
    good = [ln for r in rounds for ln in r if "POISON" not in ln]
    with Sink(script) as sink:
        push = pusher(tmp_path, sink.url, rounds)
        done = push.push()
    assert done.quarantined == 2
    assert sorted(set(sink.data())) == sorted(good)
    assert waiting(push) == 0


def test_a_batch_too_large_is_halved_until_it_fits(tmp_path: Path) -> None:
    def script(lines: list[str]) -> Answer:
        return (413, {}, b"{}") if len(lines) > 4 else OK

    with Sink(script) as sink:
        push = pusher(tmp_path, sink.url, [[line(i)] for i in range(12)])
        for _ in range(20):
            if not push.push().more:
                break
    assert sink.data() == [line(i) for i in range(12)]


def test_an_answer_that_never_comes_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    answers = iter([(0, {}, b""), OK])

    def script(_: list[str]) -> Answer:
        status, headers, body = next(answers)
        return status, dict(headers), body

    with Sink(script, delay_s=1.0) as sink:
        push = pusher(tmp_path, sink.url, [[line(1)]], timeout_s=0.3)
        with pytest.raises(DeliveryError):
            push.push()
        assert waiting(push) == 1
        push.push()
    assert set(sink.data()) == {line(1)}  # the same point and time: the store keeps one


def test_no_server_keeps_everything(tmp_path: Path) -> None:
    push = pusher(tmp_path, "http://127.0.0.1:9", [[line(1)]])
    with pytest.raises(DeliveryError):
        push.push()
    assert waiting(push) == 1


def test_a_server_to_which_everything_is_too_large_gets_nothing_set_aside(tmp_path: Path) -> None:
    with Sink(lambda _: (413, {}, b"")) as sink:
        push = pusher(tmp_path, sink.url, [[line(i) for i in range(5)]])
        with pytest.raises(DeliveryError, match="a receipt alone is refused") as caught:
            push.push()
    assert caught.value.permanent
    assert push.outbox.quarantined() == []
    assert waiting(push) == 1


def test_a_line_that_fits_only_without_its_receipt_is_delivered(tmp_path: Path) -> None:
    def script(lines: list[str]) -> Answer:
        return (413, {}, b"") if len(lines) > 1 else OK

    with Sink(script) as sink:
        push = pusher(tmp_path, sink.url, [[line(1), line(2)]])
        push.push()
    assert sink.data() == [line(1), line(2)]
    assert sink.kept[-1].startswith("delivery")  # said when all of it had arrived
    assert push.outbox.quarantined() == []


def test_an_answer_that_comes_byte_by_byte_and_does_not_end_is_given_up(tmp_path: Path) -> None:
    with dripping_server() as url:
        push = pusher(tmp_path, url, [[line(1)]], timeout_s=0.2)
        with pytest.raises(DeliveryError, match=r"not whole within 0\.6 s"):
            push.push()
    assert waiting(push) == 1
