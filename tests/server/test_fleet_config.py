"""Configurations for agents: signed by the officer, given to their agent, never an old one."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from server.cli import main
from server.config import load_config
from server.fleet import MAX_BYTES, config_hash
from server.state.fleet import KEPT_STATES, LAST_SERIAL, ConfigState, ConfigStateRow
from tests.server.running import TOKEN, Running, running_server

CONFIG = "# 一号配电室\nagent: pi1\nsite: hengnan\ninterval_s: {}\n"
PI1, PI2 = "token-of-pi1", "token-of-pi2"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "pi1").write_text(PI1)
    (tmp_path / "pi2").write_text(PI2)
    (tmp_path / "console").write_text("secret")
    tokens = {"pi1": "./pi1", "pi2": "./pi2"}
    with running_server(tmp_path, write_tokens=tokens, console_token_file="./console") as it:
        yield it


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "officer.key"
    assert main(["agents", "config", "keygen", "--out", str(path)]) == 0
    return path


def run(folder: Path, *words: str) -> int:
    return main(["agents", "config", *words, "--config", str(folder / "server.yaml")])


def push(folder: Path, key: Path, interval: int, agent: str = "pi1") -> int:
    file = folder / "new.yaml"
    file.write_text(CONFIG.format(interval).replace("pi1", agent), "utf-8")
    words = ("--key", str(key), "--reason", "新增三块表", "--author", "王")
    return run(folder, "push", agent, str(file), *words)


def get(
    server: Running, agent: str = "pi1", token: str = PI1, has: str | None = None
) -> httpx.Response:
    headers = {"Authorization": f"Token {token}"} | ({"If-None-Match": has} if has else {})
    return server.http.get(f"/api/v2/agents/{agent}/config", headers=headers)


def post(server: Running, said: dict[str, object], token: str = PI1) -> httpx.Response:
    headers = {"Authorization": f"Token {token}"}
    return server.http.post("/api/v2/agents/pi1/config/state", json=said, headers=headers)


def is_signed(document: dict[str, object], public: Path) -> bool:
    """Check as an agent does, from the four fields and the public key alone."""
    found = load_pem_public_key(public.read_bytes())
    assert isinstance(found, Ed25519PublicKey)
    parts = [str(document[k]) for k in ("agent", "serial", "issued_at_ms", "config")]
    try:
        found.verify(base64.b64decode(str(document["signature"])), "\n".join(parts).encode())
    except InvalidSignature:
        return False
    return True


def test_a_signed_configuration_reaches_its_agent_and_its_fate_comes_back(
    server: Running, key: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert get(server).status_code == 404
    assert push(tmp_path, key, 5) == 0
    assert "第 1 号" in capfd.readouterr().err
    document = get(server).json()
    assert set(document) == {"agent", "serial", "issued_at_ms", "config", "signature"}
    assert (document["agent"], document["serial"]) == ("pi1", 1)
    assert document["config"] == CONFIG.format(5)
    public = key.with_name("officer.key.pub")
    assert is_signed(document, public)
    for change in ({"config": CONFIG.format(6)}, {"serial": 2}, {"agent": "pi2"}):
        assert not is_signed(document | change, public)
    assert get(server, has='"1"').status_code == 304
    assert get(server, has='"0"').status_code == 200
    hashed = config_hash(CONFIG.format(5))
    for state in ("staged", "staged", "confirmed"):
        said: dict[str, object] = {
            "serial": 1,
            "state": state,
            "detail": "三台设备应答",
            "config_hash": hashed,
        }
        assert post(server, said).status_code == 204
    assert [s.state for s in server.works.state.fleet.config_states("pi1")] == [
        "staged", "confirmed",
    ]  # fmt: skip
    assert run(tmp_path, "history", "pi1") == 0
    shown = capfd.readouterr().out
    for text in ("签发", "试运行", "已生效", "三台设备应答", hashed, "新增三块表"):
        assert text in shown, text
    row = server.http.get("/api/v1/agents/pi1", auth=("王", "secret")).json()
    assert (row["wanted_serial"], row["config_state"], row["wanted_hash"]) == (
        1, "confirmed", hashed,
    )  # fmt: skip
    assert row["states"] == ["never_seen"]
    page = server.http.get("/agents/pi1", auth=("王", "secret")).text
    assert "三台设备应答" in page
    audit = [(a.who, a.action, a.object) for a in server.works.state.books.audit_rows()]
    assert audit == [("王", "agent.config.push", "pi1#1")]


def test_serials_grow_and_an_old_configuration_is_never_given_again(
    server: Running, key: Path, tmp_path: Path
) -> None:
    for interval in (5, 6):
        assert push(tmp_path, key, interval) == 0
    assert get(server).json()["serial"] == 2
    assert push(tmp_path, key, 6) == 0  # the same again: nothing new is signed
    assert get(server).json()["serial"] == 2
    assert run(tmp_path, "cancel", "pi1", "--reason", "误发") == 0
    assert get(server).status_code == 404
    assert run(tmp_path, "cancel", "pi1", "--reason", "误发") == 1
    assert push(tmp_path, key, 5) == 0
    assert get(server).json()["serial"] == 3
    rows = server.works.state.fleet.configs("pi1")
    assert [(c.serial, c.cancelled_ms is None) for c in rows] == [(1, True), (2, False), (3, True)]
    assert not server.works.state.fleet.add_config(rows[0])
    assert not server.works.state.fleet.add_config(rows[-1])


def test_a_server_restored_from_an_older_copy_goes_on_above_what_the_agent_has(
    server: Running, key: Path, tmp_path: Path
) -> None:
    assert push(tmp_path, key, 5) == 0
    assert get(server, has='"41"').status_code == 304
    assert push(tmp_path, key, 6) == 0
    assert get(server, has='"41"').json()["serial"] == 42
    assert get(server, has=f'"{10**14}"').status_code == 304
    post(server, {"serial": LAST_SERIAL, "state": "refused", "detail": "not signed by our key"})
    assert server.works.state.fleet.next_serial("pi1") == 43
    for odd in ("1", "W/x", '"-5"', '"' + "9" * 40 + '"'):
        assert get(server, has=odd).status_code == 200


def test_an_agent_gets_only_its_own(server: Running, key: Path, tmp_path: Path) -> None:
    assert push(tmp_path, key, 5) == 0
    assert push(tmp_path, key, 5, agent="pi3") == 0
    for token in (PI2, TOKEN, "x", "secret", "wrong"):
        assert get(server, token=token).status_code == 401, token
        assert post(server, {"serial": 1, "state": "staged"}, token).status_code == 401, token
    assert get(server, "pi3", TOKEN).status_code == 200  # has no token of its own
    assert get(server, "pi3", PI1).status_code == 401
    assert get(server, "pi 3", TOKEN).status_code == 422
    assert server.write("", token=PI1).status_code == 204
    assert not server.works.state.fleet.config_states()


@pytest.mark.parametrize(
    "said",
    [
        {"serial": 1, "state": "magic"},
        {"serial": -1, "state": "staged"},
        {"serial": 2**60, "state": "staged"},
        {"serial": "x", "state": "staged"},
        {"state": "staged"},
        {"serial": 1, "state": "staged", "config_hash": "<script>"},
        {"serial": 1, "state": "staged", "detail": "x" * 20_001},
        {"serial": 1, "state": "staged", "more": 1},
    ],
)
def test_a_wrong_state_is_refused_and_not_kept(server: Running, said: dict[str, object]) -> None:
    assert post(server, said).status_code == 422
    assert not server.works.state.fleet.config_states()


def test_what_an_agent_says_is_shown_as_text_and_bounded(
    server: Running, key: Path, tmp_path: Path
) -> None:
    assert push(tmp_path, key, 5) == 0
    detail = "<script>alert(1)</script>" + "长" * 5000
    assert post(server, {"serial": 1, "state": "refused", "detail": detail}).status_code == 204
    page = server.http.get("/agents/pi1", auth=("王", "secret")).text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    fleet = server.works.state.fleet
    assert len(fleet.config_states("pi1")[0].detail) == 2000
    for i in range(KEPT_STATES + 5):
        fleet.note_state(ConfigStateRow("pi1", 1, ConfigState.STAGED, i, str(i), ""))
    kept = fleet.config_states("pi1")
    assert len(kept) == KEPT_STATES
    assert kept[-1].detail == str(KEPT_STATES + 4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"agent: pi2\n", "pi1"),
        (b"site: hengnan\n", "agent"),
        (b"[1, 2]\n", "mapping"),
        (b"agent: [\n", "YAML"),
        (b"agent: pi1\n\x00", "YAML"),
        (b"agent: \xff\n", "UTF-8"),
        (b"[" * 20_000, "YAML"),
        (b"a: 0000-99-99\nagent: pi1", "YAML"),
        (b"agent: pi1\n#" + b"x" * MAX_BYTES, "at most"),
    ],
)
def test_what_cannot_be_meant_for_the_agent_is_not_signed(
    tmp_path: Path, key: Path, content: bytes, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_server(tmp_path) as it:
        (tmp_path / "bad.yaml").write_bytes(content)
        words = ("--key", str(key), "--reason", "r")
        assert run(tmp_path, "push", "pi1", str(tmp_path / "bad.yaml"), *words) == 2
        assert said in capfd.readouterr().err
        assert not it.works.state.fleet.configs()


def test_a_key_is_its_officers_alone(
    tmp_path: Path, key: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in key.with_name("officer.key.pub").read_bytes()
    assert main(["agents", "config", "keygen", "--out", str(key)]) == 2
    assert "it exists" in capfd.readouterr().err
    with running_server(tmp_path):
        key.chmod(0o640)
        assert push(tmp_path, key, 5) == 2
        assert "0600" in capfd.readouterr().err
        assert push(tmp_path, tmp_path / "none", 5) == 2
        assert "keygen" in capfd.readouterr().err
        for wrong in (b"", b"no key", key.with_name("officer.key.pub").read_bytes()):
            other = tmp_path / "other.key"
            other.touch(mode=0o600)
            other.write_bytes(wrong)
            assert push(tmp_path, other, 5) == 2
            assert "Ed25519" in capfd.readouterr().err
        key.chmod(0o600)
        assert push(tmp_path, key, 5) == 0
    secret = key.read_bytes().splitlines()[1]
    for file in tmp_path.glob("s.db*"):
        assert secret not in file.read_bytes()


def test_show_and_diff_speak_of_the_newest(
    tmp_path: Path, key: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_server(tmp_path):
        assert run(tmp_path, "show", "pi1") == 2
        assert "pi1" in capfd.readouterr().err
        for interval in (5, 6):
            push(tmp_path, key, interval)
        capfd.readouterr()
        assert run(tmp_path, "show", "pi1") == 0
        said = capfd.readouterr()
        assert said.out == CONFIG.format(6)
        assert "第 2 号" in said.err
        assert run(tmp_path, "show", "pi1", "--serial", "1") == 0
        assert capfd.readouterr().out == CONFIG.format(5)
        assert run(tmp_path, "show", "pi1", "--serial", "9") == 2
        capfd.readouterr()
        file = tmp_path / "new.yaml"
        assert run(tmp_path, "diff", "pi1", str(file)) == 0
        capfd.readouterr()
        file.write_text(CONFIG.format(7), "utf-8")
        assert run(tmp_path, "diff", "pi1", str(file)) == 1
        changed = capfd.readouterr().out
        assert "-interval_s: 6\n+interval_s: 7\n" in changed


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ({"pi1": "./none"}, "write_tokens.pi1"),
        ({"pi1": "./same"}, "alone"),
        ({"pi1": "./pi1", "pi2": "./pi1"}, "alone"),
        ({"../x": "./pi1"}, "write_tokens"),
    ],
)
def test_tokens_of_agents_are_checked_at_the_start(
    tmp_path: Path, tokens: dict[str, str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_server(tmp_path):
        pass
    (tmp_path / "pi1").write_text(PI1)
    (tmp_path / "same").write_text(TOKEN)
    file = tmp_path / "server.yaml"
    file.write_text(f"{file.read_text('utf-8')}write_tokens: {json.dumps(tokens)}\n", "utf-8")
    assert main(["agents", "--config", str(file)]) == 2
    assert said in capfd.readouterr().err


def test_agents_tokens_alone_will_do_and_none_will_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_server(tmp_path):
        pass
    (tmp_path / "pi1").write_text(PI1)
    file = tmp_path / "server.yaml"
    lines = [ln for ln in file.read_text("utf-8").splitlines() if "write_tokens" not in ln]
    file.write_text("\n".join([*lines, "write_tokens: {pi1: ./pi1}\n"]), "utf-8")
    assert load_config(file).write_tokens == (PI1,)
    file.write_text("\n".join(lines), "utf-8")
    assert main(["agents", "--config", str(file)]) == 2
    assert "write_tokens_file" in capfd.readouterr().err


def test_a_key_that_cannot_be_read_is_a_wrong_input(tmp_path: Path, key: Path) -> None:
    with running_server(tmp_path):
        os.mkdir(tmp_path / "folder.key")
        assert push(tmp_path, tmp_path / "folder.key", 5) == 2
