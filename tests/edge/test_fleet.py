"""Fleet: what the server offers is taken only if it is signed, for this agent, newer and right."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.errors import DeliveryError
from edge.agent import read_config
from edge.apply import ConfigBook, State
from edge.config import ed25519_key
from edge.fleet import Fleet
from edge.status import ask, socket_path
from tests.edge.config_server import ConfigServer, Signer
from tests.edge.http_sink import dripping_server
from tests.edge.test_apply import wait_for
from tests.edge.test_poller_wire import Meters
from tests.edge.test_status import config_at, running, served, told


@dataclass
class Site:
    """An agent's folder, its server and the holder of the key."""

    config: Path
    server: ConfigServer
    signer: Signer

    def fleet(self) -> Fleet:
        """Give the agent's talk as after a start of the agent."""
        return Fleet(read_config(self.config), "t", self.book(), read_config)

    def book(self) -> ConfigBook:
        return ConfigBook(self.config)

    def text(self, **more: Any) -> str:
        return yaml.safe_dump(yaml.safe_load(self.config.read_text("utf-8")) | more)


def site_in(folder: Path, server: ConfigServer, port: int = 1) -> Site:
    config, signer = config_at(folder, port), Signer()
    signer.write(folder / "fleet.pub")
    document = yaml.safe_load(config.read_text("utf-8"))
    document["push"]["url"] = server.url
    document["fleet"] = {"public_key_file": "./fleet.pub", "interval_s": 10}
    config.write_text(yaml.safe_dump(document), "utf-8")
    return Site(config, server, signer)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ConfigServer() as server:
        yield site_in(tmp_path, server)


def test_a_good_document_is_tried_reported_and_confirmed(site: Site) -> None:
    text = site.text(interval_s=2)
    site.server.document = site.signer.document(text, serial=7)
    fleet = site.fleet()
    assert fleet.turn()
    assert site.config.read_text("utf-8") == text
    assert not fleet.turn()  # nothing else while one is on trial
    book = site.book()
    trial = book.trial()
    assert trial is not None
    book.confirm(trial, "good")
    again = site.fleet()
    assert not again.turn()
    assert site.server.reported() == [(7, "staged"), (7, "confirmed")]
    assert site.server.states[-1]["config_hash"] == trial.hash
    assert book.serial() == 7
    path, tag, token = site.server.asked[-1]
    assert (path, tag, token) == ("/api/v2/agents/a1/config", '"7"', "Token t")


def test_nothing_for_us_and_nothing_new_is_quiet(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not site.fleet().turn()
    assert site.server.reported() == []
    assert capfd.readouterr().out == ""


def tampered(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"config": document["config"] + "# more"}


UNSIGNED: dict[str, Callable[[Site], Any]] = {
    "tampered": lambda s: tampered(s.signer.document(s.text(interval_s=2), 9)),
    "another serial": lambda s: s.signer.document(s.text(interval_s=2), 8) | {"serial": 9},
    "another key": lambda s: Signer().document(s.text(interval_s=2), 9),
    "another agent": lambda s: s.signer.document(s.text(interval_s=2), 9, "a2"),
    "signature no base64": lambda s: s.signer.document(s.text(), 9) | {"signature": "%"},
    "signature too short": lambda s: s.signer.document(s.text(), 9) | {"signature": "AAAA"},
    "no JSON": lambda s: b"<html>",
    "too deep": lambda s: b"[" * 900_000,
    "no text": lambda s: s.signer.document(s.text(), 9) | {"config": "\ud800"},
    "no object": lambda s: b"[1]",
    "serial is text": lambda s: s.signer.document(s.text(), 9) | {"serial": "9"},
    "serial is true": lambda s: s.signer.document(s.text(), 1) | {"serial": True},
    "no config": lambda s: {"agent": "a1", "serial": 9},
    "huge": lambda s: s.signer.document("#" * 1_100_000, 9),
    "endless": lambda s: b" " * 30_000_000,
}


@pytest.mark.parametrize("case", UNSIGNED)
def test_what_is_not_signed_for_us_is_refused_and_uses_no_serial_up(case: str, site: Site) -> None:
    before = site.config.read_bytes()
    site.server.document = UNSIGNED[case](site)
    fleet = site.fleet()
    assert not fleet.turn()
    assert not fleet.turn()
    assert site.config.read_bytes() == before
    assert site.book().trial() is None
    assert fleet.serial == 0
    assert {state for _, state in site.server.reported()} <= {"refused"}
    assert len(site.server.states) <= 1  # told once
    site.server.document = site.signer.document(site.text(interval_s=2), serial=1)
    assert site.fleet().turn()


def over_budget(site: Site) -> str:
    connection = {"id": "gw1", "driver": "modbus-rtu", "device": "/dev/ttyAMA0", "baud": 300}
    return site.text(interval_s=0.1, connections=[connection])


WRONG: dict[str, tuple[Callable[[Site], str], str]] = {
    "no YAML": (lambda s: "site: [", "YAML"),
    "no mapping": (lambda s: "- 1", "a mapping"),
    "over the bus's time": (over_budget, "一轮不超过"),
    "renamed": (lambda s: s.text(agent="a2"), "agent"),
    "of another site": (lambda s: s.text(site="x"), "site"),
    "another outbox": (lambda s: s.text(outbox={"path": "/tmp/o.db"}), "outbox.path"),  # noqa: S108 - named, never made
    "binary": (lambda s: "\x00\x01", "YAML"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_signed_but_wrong_is_refused_once_with_the_reason(case: str, site: Site) -> None:
    make, reason = WRONG[case]
    before = site.config.read_bytes()
    site.server.document = site.signer.document(make(site), serial=4)
    assert not site.fleet().turn()
    assert not site.fleet().turn()
    assert site.config.read_bytes() == before
    assert site.server.reported() == [(4, "refused")]
    assert reason in site.server.states[0]["detail"]
    assert site.server.asked[-1][1] == '"4"'


def test_an_older_serial_is_never_taken_again(site: Site) -> None:
    old = site.signer.document(site.text(interval_s=3), serial=5)
    site.server.document = site.signer.document(site.text(interval_s=2), serial=6)
    assert site.fleet().turn()
    book = site.book()
    trial = book.trial()
    assert trial is not None
    book.confirm(trial, "")
    before = site.config.read_bytes()
    site.server.document = old
    fleet = site.fleet()
    assert not fleet.turn()
    assert site.config.read_bytes() == before
    assert fleet.serial == 6
    assert (5, "refused") in site.server.reported()


def test_a_serial_is_used_up_although_the_power_was_cut_before_it_was_noted(site: Site) -> None:
    site.server.document = site.signer.document(site.text(interval_s=2), serial=3)
    assert site.fleet().turn()
    (site.book().folder / "fleet.json").unlink()
    assert site.fleet().serial == 3


def test_a_rolled_back_document_is_reported_and_not_tried_again(site: Site) -> None:
    site.server.document = site.signer.document(site.text(interval_s=2), serial=3)
    assert site.fleet().turn()
    book = site.book()
    trial = book.trial()
    assert trial is not None
    book.roll_back(trial, "no device answered")
    fleet = site.fleet()
    assert not fleet.turn()
    assert not fleet.turn()
    assert site.server.reported() == [(3, "staged"), (3, "rolled_back")]


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_an_answer_that_should_not_be_is_an_error_that_heals(status: int, site: Site) -> None:
    site.server.status = status
    fleet = site.fleet()
    with pytest.raises(DeliveryError, match=str(status)):
        fleet.turn()
    site.server.status = 200
    assert not fleet.turn()


def test_a_server_that_answers_byte_by_byte_does_not_hold_the_talk(site: Site) -> None:
    with dripping_server() as url:
        push = yaml.safe_load(site.config.read_text("utf-8"))["push"]
        site.config.write_text(site.text(push=push | {"url": url, "timeout_s": 0.2}), "utf-8")
        with pytest.raises(DeliveryError, match="not whole within"):
            site.fleet().turn()


def test_a_report_that_did_not_arrive_is_sent_again(site: Site) -> None:
    site.server.document = site.signer.document(site.text(interval_s=2), serial=3)
    assert site.fleet().turn()
    book = site.book()
    trial = book.trial()
    assert trial is not None
    book.confirm(trial, "")
    fleet = site.fleet()
    site.server.__exit__(None, None, None)
    with pytest.raises(DeliveryError):
        fleet.turn()
    told = site.book().outcome()
    assert told is not None
    assert told.state is State.CONFIRMED
    memory = json.loads((book.folder / "fleet.json").read_text())
    assert memory["reported"] == [3, "staged"]


@pytest.mark.parametrize("answers", [True, False], ids=["devices answer", "no device answers"])
def test_a_running_agent_tries_what_the_server_offers_and_reports(
    answers: bool, tmp_path: Path
) -> None:
    meters = Meters(rtu=False)
    meters.silent = {2}
    with ConfigServer() as server, served(meters) as port:
        site = site_in(tmp_path, server, port)
        old = site.config.read_bytes()
        connection = yaml.safe_load(site.config.read_text())["connections"][0]
        text = site.text(connections=[connection | {"timeout_s": 0.3}])
        server.document = site.signer.document(text, serial=2)
        with running(site.config):
            wait_for(lambda: (2, "staged") in server.reported())
            if not answers:
                meters.silent = {1, 2}
                book = site.book()
                trial = book.trial()
                assert trial is not None
                shorter = {"hash": trial.hash, "within_s": 2, "by": "fleet", "serial": 2}
                (book.folder / "trial.json").write_text(json.dumps(shorter))
            state = "confirmed" if answers else "rolled_back"
            wait_for(lambda: (2, state) in server.reported())
            meters.silent = {2}
            told(site.config, "open")
            status = ask(socket_path(tmp_path / "o.db"))
    assert status["config"]["fleet"] is True
    assert status["config"]["serial"] == (2 if answers else None)
    assert site.config.read_bytes() == (text.encode() if answers else old)


def test_cryptography_is_loaded_only_when_a_signature_is_checked() -> None:
    code = (
        "import sys, edge.fleet; from edge.cli import parser_of; parser_of();"
        "sys.stdout.write(str('cryptography' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False"


PEM = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
"""


def test_a_key_is_pem_or_base64_of_its_bytes() -> None:
    raw = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert ed25519_key(PEM) == raw  # RFC 8032, section 7.1, test 1
    assert ed25519_key(b"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n") == raw
    with pytest.raises(ValueError, match="a private key"):
        ed25519_key(PEM.replace(b"PUBLIC", b"PRIVATE"))
