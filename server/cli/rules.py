"""rules: try the rule files, explain an alert, judge the past again, score detectors."""

import argparse
import csv
import math
from collections.abc import Sequence
from datetime import time
from importlib import import_module
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from contract.errors import ConfigError, Problem
from server.app import open_works
from server.cli.shared import (
    EXIT_FAILED,
    add_command,
    add_config,
    add_span,
    close,
    message,
    moment_ms,
    show,
    span_of,
    time_zone,
)
from server.config import load_config
from server.imports.evidence_csv import Plain, read_evidence
from server.jobs.backtest import Row, backtest, explain
from server.messages import say
from server.rules.engine import alerts
from server.rules.examples import found_in
from server.rules.kinds import KINDS, judge
from server.rules.load import load_rules
from server.rules.measure import Score, measure, runs
from server.rules.model import Evidence, Rule, Truth
from server.site.model import Site, WorkHours

_COLUMNS = ("power", "flow", "light", "presence", "temperature", "outdoor", "co2", "reactive")
_SCORED_APART = frozenset({"coverage", "gauge_kw"})


def add_rules(commands: Any) -> None:
    """Add the commands."""
    rules = add_command(
        commands, "rules", "规则：试运行、解释、回测、评分 / rules: test, explain, backtest, score",
        "rules test", _test,
    )  # fmt: skip
    kinds = rules.add_subparsers(required=True, metavar="WHAT")
    test = add_command(
        kinds, "test", "运行规则文件内的示例 / run the examples inside the rule files",
        "rules test", _test,
    )  # fmt: skip
    test.add_argument("--rules", type=Path, help="规则目录，默认内置 / a folder; default: shipped")
    why = add_command(
        kinds, "explain", "解释一条告警 / why an alert was raised",
        "rules explain 12 --config server.yaml", _explain,
    )  # fmt: skip
    why.add_argument("number", type=int)
    add_config(why)
    back = add_command(
        kinds, "backtest", "用过去的数据回测 / what would have been raised, with kWh and 元",
        "rules backtest --config server.yaml --from 2026-01-01 --to 2026-02-01", _backtest,
    )  # fmt: skip
    add_config(back)
    add_span(back)
    back.add_argument("--rule", action="append", default=[], help="只看这些规则 / only these")
    back.add_argument("--truth", type=Path, help="真值 CSV / rule,meter,start,end")
    score = add_command(
        kinds, "score", "评分：随机场景或 CSV / score on random scenes, or on a CSV file",
        "rules score data.csv --truth waste --time time --power kw --presence people", _score,
    )  # fmt: skip
    score.add_argument("file", type=Path, nargs="?")
    score.add_argument("--seeds", help="如 1001-1060 / of scenes")
    score.add_argument("--truth", default="truth", metavar="COLUMN", help="0/1：浪费 / waste")
    score.add_argument("--time", default="time", metavar="COLUMN")
    for name in _COLUMNS:
        score.add_argument(f"--{name}", metavar="COLUMN")
    score.add_argument(
        "--rule", action="append", default=[], help="默认：列齐全的全部规则 / default: all"
    )
    score.add_argument("--work", default="08:00-17:30", help="工作时间 / work hours")
    score.add_argument("--timezone", type=time_zone, default=ZoneInfo("Asia/Shanghai"))
    score.add_argument("--rules", type=Path)


def _test(args: argparse.Namespace) -> int:
    rows, wrong = [], 0
    for rule in load_rules(args.rules):
        for example in rule.examples:
            found = found_in(rule, example)
            is_right = found == example.alerts
            wrong += not is_right
            verdict = "✓" if is_right else f"{say('rule_expected')} {example.alerts} ≠ {found}"
            rows.append((rule.id, rule.title, example.name, verdict))
    show(say("rules_title"), say("rules_columns"), rows)
    message("rules_tested", examples=len(rows), wrong=wrong)
    return EXIT_FAILED if wrong else 0


def _explain(args: argparse.Namespace) -> int:
    works = open_works(load_config(args.config))
    try:
        told = explain(works, args.number)
    finally:
        close(works)
    if told is None:
        message("alert_unknown", number=args.number)
        return EXIT_FAILED
    show(say("explain_title", number=args.number), say("explain_columns"), told)
    return 0


def _backtest(args: argparse.Namespace) -> int:
    works = open_works(load_config(args.config))
    try:
        _known(args.rule, works.rules)
        span = span_of(args, works.site)
        truth = _truths(args.truth, works.site.zone) if args.truth else {}
        rows = backtest(works, span, frozenset(args.rule), truth)
    finally:
        close(works)
    show(say("backtest_title"), say("backtest_columns"), [_row(r) for r in rows])
    return 0


def _row(r: Row) -> tuple[str, ...]:
    yuan = "—" if r.yuan is None else f"{r.yuan:,.2f}"
    return (
        r.rule.id, r.rule.title, str(r.score.alerts), f"{r.score.flagged:,.1f} {r.unit}", yuan,
        _share(r.score.precision) if r.has_truth else "—", _share(r.score.recall),
    )  # fmt: skip


def _share(value: float) -> str:
    return "—" if math.isnan(value) else f"{value:.3f}"


def _known(wanted: Sequence[str], rules: Sequence[Rule]) -> None:
    unknown = sorted(set(wanted) - {r.id for r in rules})
    if unknown:
        expected = ", ".join(r.id for r in rules)
        raise ConfigError([Problem("command line", "--rule", expected, unknown[0], "name one")])


def _truths(path: Path, zone: ZoneInfo) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Read known wastes: a row each, with rule, meter, start, end."""
    out: dict[tuple[str, str], list[tuple[int, int]]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        names = ["rule", "meter", "start", "end"]
        if not set(names) <= set(reader.fieldnames or ()):
            got = ", ".join(reader.fieldnames or ())
            raise ConfigError([Problem(str(path), "line 1", ", ".join(names), got, "name them")])
        for row in reader:
            span = tuple(moment_ms(row[k], zone, f"{path} {k}") for k in ("start", "end"))
            out.setdefault((row["rule"], row["meter"]), []).append((span[0], span[1]))
    return out


def _score(args: argparse.Namespace) -> int:
    rules = load_rules(args.rules)
    _known(args.rule, rules)
    rules = tuple(r for r in rules if not args.rule or r.id in args.rule)
    if args.seeds:
        # by name: the scenes are the simulator's, which a server need not have
        columns, rows = import_module("simulators.score").table(rules, _seeds(args.seeds))
        show(say("score_title", what=args.seeds), columns, rows)
        return 0
    if args.file is None:
        expected = "a CSV file, or --seeds"
        raise ConfigError([Problem("command line", "FILE", expected, "neither", "give one")])
    columns = {n: getattr(args, n) for n in _COLUMNS if getattr(args, n)}
    if not {"power", "flow", "light"} & set(columns):
        expected = "--power, --flow or --light"
        raise ConfigError([Problem("command line", expected, "a column", "none", "name one")])
    site = _plain_site(args)
    plain = read_evidence(args.file, {"time": args.time, "truth": args.truth, **columns}, site)
    show(say("score_title", what=args.file), say("score_columns"), list(_plain_rows(rules, plain)))
    return 0


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    try:
        found = range(int(first), int(last or first) + 1)
    except ValueError:
        found = range(0)
    if not found:
        raise ConfigError([Problem("command line", "--seeds", "e.g. 1001-1060", text, "mend it")])
    return found


def _plain_site(args: argparse.Namespace) -> Site:
    start, _, end = args.work.partition("-")
    try:
        hours = WorkHours(time.fromisoformat(start), time.fromisoformat(end))
    except ValueError as error:
        problem = Problem("command line", "--work", "08:00-17:30", args.work, "mend it")
        raise ConfigError([problem]) from error
    return Site("plain", "CSV", "", args.timezone, (), (), work_hours=(hours,))


def _plain_rows(rules: Sequence[Rule], plain: Plain) -> list[tuple[str, ...]]:
    out: list[tuple[str, ...]] = []
    for name, evidence in plain.evidence.items():
        for rule in rules:
            way = KINDS[rule.kind]
            fits = rule.selector.carrier is plain.carriers[name]
            if not fits or not way.needs <= plain.has or way.needs & _SCORED_APART:
                continue
            if name == "light" and "lighting" not in rule.selector.with_tags:
                continue
            score, known = _scored(rule, evidence, plain)
            out.append(
                (
                    rule.id, name, str(score.wastes), str(score.alerts), _share(score.precision),
                    _share(score.recall), _share(score.minutes_to_alarm).removesuffix(".000"),
                    f"{score.flagged:,.1f}", f"{known:.0%}",
                )
            )  # fmt: skip
    return out


def _scored(rule: Rule, evidence: Evidence, plain: Plain) -> tuple[Score, float]:
    judgement = judge(rule, evidence)
    known = judgement.truth != Truth.UNKNOWN
    found = alerts(rule, judgement)
    end_ms = int(evidence.edges_ms[-1])
    learned = np.flatnonzero(known)
    first = int(learned[0]) if len(learned) else len(known)
    truth = runs(plain.truth & (np.arange(len(known)) >= first), evidence.edges_ms)
    return measure(found, truth, end_ms), float(known.mean()) if len(known) else 0.0
