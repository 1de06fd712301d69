"""The three families of error.

ConfigError     a file or request is wrong: stop at start, exit code 2; carries every Problem found
DeviceError     a device did not answer properly: becomes quality, never stops the agent
DeliveryError   a push or notification failed; `permanent` says whether trying again can help
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.reading import Reason


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file or request, and how to mend it."""

    file: str
    key: str
    expected: str
    got: str
    fix: str

    def __str__(self) -> str:
        """Give the problem as one line for a terminal."""
        return f"{self.file}: {self.key}: expected {self.expected}, got {self.got}; fix: {self.fix}"


class ConfigError(Exception):
    """One or more files are wrong; all problems at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


class DeviceError(Exception):
    """A device gave no usable answer; the reason becomes the readings' quality."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason.name.lower()}: {detail}" if detail else reason.name.lower())


class DeliveryError(Exception):
    """A batch or message was not taken; a permanent failure must not be retried as it is."""

    def __init__(self, detail: str, *, permanent: bool, retry_after_s: float | None = None) -> None:
        self.permanent = permanent
        self.retry_after_s = retry_after_s
        super().__init__(detail)


def problems_from(file: str, errors: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Turn a pydantic `ValidationError.errors()` list into Problems; pydantic stays outside."""
    return [_problem(file, error) for error in errors]


def _problem(file: str, error: Mapping[str, Any]) -> Problem:
    key = ".".join(str(part) for part in error["loc"]) or "(whole file)"
    kind, message = str(error["type"]), str(error["msg"]).removeprefix("Value error, ")
    got = "nothing" if kind == "missing" else _shorten(error.get("input"))
    expected, fix = message, f"correct {key}"
    if kind == "extra_forbidden":
        expected, fix = "no such key", f"remove {key}, or check its spelling"
    elif kind == "missing":
        expected, fix = "a value", f"add {key}"
    elif "; fix: " in message:
        expected, fix = message.split("; fix: ", 1)
    return Problem(file, key, expected, got, fix)


def _shorten(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
