"""Document: a configuration for one agent, and the bytes that its signature is over."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import yaml

from contract.errors import ConfigError, Problem

MAX_BYTES = 400_000  # written as JSON still below the million bytes that agents read
HASH_DIGITS = 12


@dataclass(frozen=True, slots=True)
class AgentDocument:
    """A configuration for one agent; serials grow and are never given twice."""

    agent: str
    serial: int
    issued_ms: int
    config: str

    def signed_content(self) -> bytes:
        """Give the bytes that the signature is over."""
        return f"{self.agent}\n{self.serial}\n{self.issued_ms}\n{self.config}".encode()


def config_hash(config: str) -> str:
    """Give the fingerprint by which agents name a configuration."""
    return hashlib.sha256(config.encode("utf-8")).hexdigest()[:HASH_DIGITS]


def checked_document(path: Path, agent: str) -> str:
    """Read an agent's configuration as text; ConfigError unless it can be meant for that agent.

    Only what a server can know is looked at; the agent checks all of it and refuses what is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        fix = "check the path"
        raise _wrong(path, "(file)", "a readable file", str(error.strerror), fix) from error
    if len(content) > MAX_BYTES:
        got, fix = f"{len(content)} bytes", "take only what this agent needs"
        raise _wrong(path, "(file)", f"at most {MAX_BYTES} bytes", got, fix)
    try:
        text = content.decode("utf-8")
        found = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise _wrong(path, "(file)", "UTF-8", str(error.reason), "save it as UTF-8") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        got = " ".join(str(error).split())[:300]
        raise _wrong(path, "(whole file)", "YAML", got, "mend it") from error
    if not isinstance(found, dict):
        got = type(found).__name__
        raise _wrong(path, "(whole file)", "a mapping", got, "see deploy/example/agent.yaml")
    if found.get("agent") != agent:
        got = repr(found.get("agent", "nothing"))[:80]
        raise _wrong(path, "agent", agent, got, "take the file of this agent, or correct the name")
    return text


def _wrong(path: Path, key: str, expected: str, got: str, fix: str) -> ConfigError:
    return ConfigError([Problem(str(path), key, expected, got, fix)])
