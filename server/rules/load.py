"""The door of rules: one YAML file a rule, strict, every problem at once."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from contract.errors import ConfigError, Problem, problems_from
from server.rules.model import Example, Kind, Rule, Selector, Severity
from server.site.model import Carrier
from server.yaml_file import Strict

_PARAMETERS = {
    Kind.LOAD_WHILE_UNOCCUPIED: {"share_of_p90", "least_kw"},
    Kind.LOAD_OUTSIDE_HOURS: {
        "share_of_median", "times_floor", "night_from_minute", "night_to_minute",
    },
    Kind.FLOW_NEVER_ZERO: {"least_m3_per_h"},
}  # fmt: skip
_MINUTE_MS = 60_000


class _Selector(Strict):
    carrier: Carrier
    end_use: str | None = None
    with_tags: frozenset[str] = frozenset()
    without_tags: frozenset[str] = frozenset()


class _Example(Strict):
    name: str
    values: str  # runs of quarters: "0*8 5.5*6"
    occupancy: str | None = None
    work: str = ""
    window: str = ""
    threshold: float
    alerts: tuple[tuple[int, int | None], ...]


class _RuleFile(Strict):
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    version: Annotated[int, Field(ge=1)]
    kind: Kind
    title: str
    advice: str
    severity: Severity
    selector: _Selector
    parameters: dict[str, float]
    hold_min: Annotated[int, Field(ge=0)]
    resolve_min: Annotated[int, Field(ge=0)]
    examples: Annotated[tuple[_Example, ...], Field(min_length=1)]


def load_rules(folder: Path | None = None) -> tuple[Rule, ...]:
    """Read the rules of a folder (default: the shipped library); ConfigError with all problems."""
    root: Traversable = folder or files("server.rules").joinpath("library")
    rules: dict[str, Rule] = {}
    problems: list[Problem] = []
    for entry in sorted(root.iterdir(), key=lambda f: f.name):
        if not entry.name.endswith(".yaml"):
            continue
        try:
            rule = _rule(entry)
        except ConfigError as error:
            problems += error.problems
            continue
        if rule.id in rules:
            problems.append(Problem(entry.name, "id", "each id once", rule.id, "rename one"))
        rules[rule.id] = rule
    if problems:
        raise ConfigError(problems)
    return tuple(rules.values())


def _rule(entry: Traversable) -> Rule:
    try:
        file = _RuleFile.model_validate(yaml.safe_load(entry.read_text("utf-8")))
    except ValidationError as error:
        raise ConfigError(problems_from(entry.name, error.errors())) from error
    except yaml.YAMLError as error:
        got = " ".join(str(error).split())
        raise ConfigError([Problem(entry.name, "(whole file)", "YAML", got, "mend it")]) from error
    wanted = _PARAMETERS[file.kind]
    if set(file.parameters) != wanted:
        got = ", ".join(sorted(file.parameters))
        expected = ", ".join(sorted(wanted))
        raise ConfigError([Problem(entry.name, "parameters", expected, got, "name these")])
    return Rule(
        id=file.id,
        version=file.version,
        kind=file.kind,
        title=file.title,
        advice=file.advice,
        severity=file.severity,
        selector=Selector(**file.selector.model_dump()),
        parameters=file.parameters,
        hold_ms=file.hold_min * _MINUTE_MS,
        resolve_ms=file.resolve_min * _MINUTE_MS,
        examples=tuple(_example(e) for e in file.examples),
    )


def _runs(text: str) -> tuple[float, ...]:
    out: list[float] = []
    for part in text.split():
        value, _, times = part.partition("*")
        out += [float("nan") if value == "?" else float(value)] * int(times or 1)
    return tuple(out)


def _example(e: _Example) -> Example:
    values = _runs(e.values)
    flags = [tuple(bool(v) for v in _runs(t)) or (False,) * len(values) for t in (e.work, e.window)]
    occupancy = None if e.occupancy is None else _runs(e.occupancy)
    return Example(e.name, values, occupancy, flags[0], flags[1], e.threshold, e.alerts)
