"""Document: what a server's configuration route answers, taken only if it is meant for us."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from contract.errors import ConfigError, Problem
from edge.apply import MAX_BYTES

_KEYS = {"agent": str, "serial": int, "issued_at_ms": int, "config": str, "signature": str}


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration for one agent; serials grow."""

    agent: str
    serial: int
    issued_at_ms: int
    config: str
    signature: str

    def signed_content(self) -> bytes:
        """Give the bytes that the signature is over."""
        return f"{self.agent}\n{self.serial}\n{self.issued_at_ms}\n{self.config}".encode()


def document_of(body: bytes, url: str, agent: str, key: bytes) -> Document:
    """Read an answer; ConfigError unless it is whole, for this agent, and signed by `key`'s holder.

    The order matters: nothing of an unsigned document is looked at further than its form.
    """
    if len(body) > MAX_BYTES:
        raise _wrong(url, "(body)", f"at most {MAX_BYTES} bytes", f"more than {MAX_BYTES}")
    document = Document(**_fields(body, url))
    if document.agent != agent:
        raise _wrong(url, "agent", agent, document.agent)
    try:
        signature = base64.b64decode(document.signature, validate=True)
        content = document.signed_content()
    except UnicodeEncodeError as error:
        raise _wrong(url, "config", "text that UTF-8 can hold", "a lone surrogate") from error
    except ValueError as error:
        raise _wrong(url, "signature", "base64", document.signature[:80]) from error
    from edge.fleet.signature import is_signed

    if not is_signed(key, signature, content):
        raise _wrong(url, "signature", "one that fits the document and the key", "another")
    return document


def _fields(body: bytes, url: str) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _wrong(url, "(body)", "JSON", body[:80].decode("utf-8", "replace")) from error
    if not isinstance(content, dict):
        raise _wrong(url, "(body)", "a JSON object", type(content).__name__)
    for name, kind in _KEYS.items():
        got = content.get(name)
        if not isinstance(got, kind) or isinstance(got, bool):
            raise _wrong(url, name, "text" if kind is str else "a whole number", repr(got)[:80])
    return {name: content[name] for name in _KEYS}


def _wrong(url: str, key: str, expected: str, got: str) -> ConfigError:
    fix = "sign and publish the configuration anew on the server"
    return ConfigError([Problem(url, key, expected, got, fix)])
