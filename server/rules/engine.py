"""The life of an alert: inactive → pending → firing → resolved.  Pure.

Time that is unknown is not counted either way: it neither fires nor resolves an alert.  Running
a span in pieces gives the same as running it whole.  An alert keeps firing until its condition
has been false for the rule's `resolve_ms`; where the condition is only just below its threshold
(`near`), what fires goes on firing, and what does not fire does not begin.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from server.rules.model import Bools, Judgement, Rule, Truth


class Phase(StrEnum):
    """Where an alert is in its life."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class AlertState:
    """The engine's memory of one rule on one meter."""

    phase: Phase = Phase.INACTIVE
    start_ms: int = 0  # when the condition became true
    true_ms: int = 0  # how long it has been seen true while pending
    clear_since_ms: int = 0  # when it became false, while firing
    false_ms: int = 0  # how long it has been seen false since


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state, stamped with the moment its condition was met."""

    to: Phase
    at_ms: int
    start_ms: int
    end_ms: int | None = None  # for resolved: when the condition became false


@dataclass(frozen=True, slots=True)
class AlertSpan:
    """One alert of a judged span; `end_ms` None: still firing."""

    start_ms: int
    fired_ms: int
    end_ms: int | None
    excess: float  # kWh or m³ above the floor, up to the end of what was judged
    floor: float  # mean expected kW or m³/h while true
    known_share: float  # share of the alert's time that was judged true or false
    has_fired: bool = True  # False: still pending; fired_ms is then when it will, if it stays true


def advance(
    state: AlertState, truth: Truth, start_ms: int, end_ms: int, rule: Rule
) -> tuple[AlertState, Transition | None]:
    """Take a run [start_ms, end_ms) of one constant truth into account."""
    match truth, state.phase:
        case Truth.UNKNOWN, _:
            return state, None
        case Truth.TRUE, Phase.FIRING:
            return replace(state, clear_since_ms=0, false_ms=0), None
        case Truth.TRUE, _:
            return _pending(state, start_ms, end_ms, rule)
        case Truth.FALSE, Phase.FIRING:
            return _clearing(state, start_ms, end_ms, rule)
        case _:
            return AlertState(), None


def _pending(
    state: AlertState, start_ms: int, end_ms: int, rule: Rule
) -> tuple[AlertState, Transition | None]:
    since = state.start_ms if state.phase is Phase.PENDING else start_ms
    before = state.true_ms if state.phase is Phase.PENDING else 0
    held = before + end_ms - start_ms
    if held < rule.hold_ms:
        return AlertState(Phase.PENDING, since, held), None
    fired_ms = start_ms + max(0, rule.hold_ms - before)
    return AlertState(Phase.FIRING, since), Transition(Phase.FIRING, fired_ms, since)


def _clearing(
    state: AlertState, start_ms: int, end_ms: int, rule: Rule
) -> tuple[AlertState, Transition | None]:
    since = state.clear_since_ms if state.false_ms else start_ms
    cleared = state.false_ms + end_ms - start_ms
    if cleared < rule.resolve_ms:
        return replace(state, clear_since_ms=since, false_ms=cleared), None
    at_ms = start_ms + max(0, rule.resolve_ms - state.false_ms)
    return AlertState(), Transition(Phase.RESOLVED, at_ms, state.start_ms, since)


def run(
    rule: Rule, judgement: Judgement, state: AlertState | None = None, near: Bools | None = None
) -> tuple[AlertState, tuple[Transition, ...]]:
    """Take a whole judgement into account, stepping over its runs of constant truth.

    near: (n,) where the condition would be true at the threshold at which it clears.
    """
    state = state or AlertState()
    truth, edges = judgement.truth, judgement.edges_ms
    held = np.zeros(len(truth), bool) if near is None else near
    transitions: list[Transition] = []
    cuts = np.flatnonzero((truth[1:] != truth[:-1]) | (held[1:] != held[:-1])) + 1
    starts = [0, *cuts.tolist()] if len(truth) else []
    for i, j in zip(starts, [*starts[1:], len(truth)], strict=True):
        says = Truth(int(truth[i]))
        if says is Truth.FALSE and held[i] and state.phase is Phase.FIRING:
            says = Truth.TRUE
        state, change = advance(state, says, int(edges[i]), int(edges[j]), rule)
        if change is not None:
            transitions.append(change)
    return state, tuple(transitions)


def alerts(rule: Rule, judgement: Judgement, near: Bools | None = None) -> tuple[AlertSpan, ...]:
    """Give the alerts of a judged span that fired, oldest first."""
    return tuple(s for s in spans(rule, judgement, near) if s.has_fired)


def spans(rule: Rule, judgement: Judgement, near: Bools | None = None) -> tuple[AlertSpan, ...]:
    """Give the alerts of a judged span, oldest first, and what is pending at its end."""
    state, transitions = run(rule, judgement, None, near)
    out: list[AlertSpan] = []
    for change in transitions:
        if change.to is Phase.FIRING:
            out.append(_span(judgement, change.start_ms, change.at_ms, None))
        elif out:
            out[-1] = _span(judgement, change.start_ms, out[-1].fired_ms, change.end_ms)
    if state.phase is Phase.PENDING:
        due_ms = int(judgement.edges_ms[-1]) + rule.hold_ms - state.true_ms
        out.append(replace(_span(judgement, state.start_ms, due_ms, None), has_fired=False))
    return tuple(out)


def _span(j: Judgement, start_ms: int, fired_ms: int, end_ms: int | None) -> AlertSpan:
    stop_ms = int(j.edges_ms[-1]) if end_ms is None else end_ms
    a, b = np.searchsorted(j.edges_ms, [start_ms, stop_ms])
    true = j.truth[a:b] == Truth.TRUE
    floor = float(j.floor[a:b][true].mean()) if true.any() else 0.0
    known = float((j.truth[a:b] != Truth.UNKNOWN).mean()) if b > a else 0.0
    return AlertSpan(start_ms, fired_ms, end_ms, float(j.excess[a:b].sum()), floor, known)
