"""Client: ask for a configuration, try it, and report how that went."""

import hashlib
import json
from pathlib import Path
from typing import Any

import structlog
import urllib3

from contract.errors import ConfigError, DeliveryError, Problem
from edge.apply import MAX_BYTES, ConfigBook, State, Validate, config_hash, stage
from edge.apply.durable import write_durably
from edge.config import AgentConfig, ed25519_key
from edge.fleet.document import Document, document_of
from edge.push.deadline import Deadline

_NONE, _SAME, _TAKEN, _FOUND = 404, 304, 204, 200
log = structlog.get_logger()


class Fleet:
    """One agent's talk with its server about its configuration.  Used by one thread."""

    def __init__(self, config: AgentConfig, token: str, book: ConfigBook, read: Validate) -> None:
        if config.fleet is None:
            raise ValueError("fleet is not configured")
        self.interval_s, self._least_s = config.fleet.interval_s, config.fleet.trial_s
        self._config, self._book, self._read = config, book, read
        self._key = ed25519_key(config.fleet.public_key_file.read_bytes())
        self._url = f"{config.push.url.rstrip('/')}/api/v2/agents/{config.agent}/config"
        self._headers = {"Authorization": f"Token {token}"}
        ca = config.push.ca_file
        self._pool = urllib3.PoolManager(
            maxsize=1,
            retries=False,
            timeout=config.push.timeout_s,
            ca_certs=str(ca) if ca else None,
        )
        self._deadline = Deadline(self._pool, config.push.timeout_s)
        self._memory = book.folder / "fleet.json"
        self._refused: str | None = None  # the hash of the last unsigned answer, told once

    def turn(self) -> bool:
        """Report what is not reported yet, then ask once; True when a new one is on trial.

        DeliveryError when the server does not answer, or as it should not.
        """
        self._report_outcome()
        if self._book.trial() is not None:
            return False
        body = self._ask()
        if body is None:
            return False
        try:
            document = document_of(body, self._url, self._config.agent, self._key)
            self._newer(document)
        except ConfigError as error:
            self._refuse_unsigned(body, str(error.problems[0]))
            return False
        if document.serial == self.serial:
            return False
        is_staged = self._try(document)
        self._report_outcome()
        return is_staged

    @property
    def serial(self) -> int:
        """Give the highest serial that has been dealt with; 0 before the first."""
        told = self._book.outcome()  # written before our own memory: a cut may lie between
        known = self._remembered().get("serial", 0)
        return max(int(known), (told.serial if told else None) or 0)

    def _ask(self) -> bytes | None:
        headers = {**self._headers, "If-None-Match": f'"{self.serial}"'}
        try:
            with self._deadline.kept():
                answer = self._pool.request(
                    "GET", self._url, headers=headers, preload_content=False
                )
                try:
                    body = answer.read(MAX_BYTES + 1)
                finally:
                    answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise DeliveryError(f"no answer: {error}", permanent=False) from error
        if answer.status in {_NONE, _SAME}:
            return None
        if answer.status != _FOUND:
            raise DeliveryError(f"answer {answer.status}", permanent=False)
        return body

    def _newer(self, document: Document) -> None:
        if document.serial < self.serial:
            at_least, fix = f"at least {self.serial}", "publish it with a new serial"
            raise ConfigError([Problem(self._url, "serial", at_least, str(document.serial), fix)])

    def _try(self, document: Document) -> bool:
        """Put a signed document on trial; what cannot be is refused, and its serial used up."""
        content = document.config.encode("utf-8")
        incoming = self._book.folder / "incoming.yaml"
        try:
            self._book.keep()  # the folder is there now
            write_durably(incoming, content, self._book.path)
            stage(
                self._book, incoming, self._validated, "fleet", None, document.serial, self._least_s
            )
        except ConfigError as error:
            why = "; ".join(str(p) for p in error.problems)
            self._book.refuse(content, why[:2000], document.serial)
            log.error("config_refused", serial=document.serial, why=str(error.problems[0]))
            return False
        finally:
            incoming.unlink(missing_ok=True)
            self._remember(serial=document.serial)
        log.info("config_staged", serial=document.serial, hash=config_hash(content))
        return True

    def _validated(self, path: Path, folder: Path) -> AgentConfig:
        """Check a file as a start would, and that it is still this agent's."""
        config = self._read(path, folder)
        ours = {"agent": self._config.agent, "site": self._config.site}
        found = [
            Problem(str(path), key, own, str(getattr(config, key)), f"correct {key}")
            for key, own in ours.items()
            if getattr(config, key) != own
        ]
        if found:
            raise ConfigError(found)
        return config

    def _refuse_unsigned(self, body: bytes, why: str) -> None:
        """Say once that an answer is not for us; it uses no serial up."""
        seen = hashlib.sha256(body).hexdigest()
        if seen != self._refused:
            self._refused = seen
            log.error("config_refused", why=why)
            serial = _claimed_serial(body)
            if serial is not None:
                self._post(serial, State.REFUSED, why)

    def _report_outcome(self) -> None:
        told = self._book.outcome()
        if told is None or told.serial is None:
            return
        report = [told.serial, told.state.value]
        if report == self._remembered().get("reported"):
            return
        if self._post(told.serial, told.state, told.detail):
            self._remember(reported=report)

    def _post(self, serial: int, state: State, detail: str) -> bool:
        """Report a state; True when the server has it or never will."""
        content = {
            "serial": serial,
            "state": state.value,
            "detail": detail,
            "config_hash": self._book.hash() or "",
        }
        headers = {**self._headers, "Content-Type": "application/json"}
        body = json.dumps(content, ensure_ascii=False).encode("utf-8")
        try:
            url = f"{self._url}/state"
            with self._deadline.kept():
                answer = self._pool.request("POST", url, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise DeliveryError(f"no answer: {error}", permanent=False) from error
        if answer.status != _TAKEN:
            log.warning("config_state_not_taken", status=answer.status)
        return answer.status in {_TAKEN, 400, _NONE, 409, 422}

    def _remembered(self) -> dict[str, Any]:
        try:
            found = json.loads(self._memory.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _remember(self, **more: Any) -> None:
        content = json.dumps({**self._remembered(), **more}).encode()
        write_durably(self._memory, content, self._book.path)


def _claimed_serial(body: bytes) -> int | None:
    """Give the serial that an answer claims, true or not, so that the server knows which it was."""
    try:
        serial = json.loads(body)["serial"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return serial if type(serial) is int else None
