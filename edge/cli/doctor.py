"""doctor: what would keep the agent from its work here, each with how to mend it."""

import argparse
import json
import sys
from typing import Any

from rich.console import Console

from contract.clock import SystemClock
from edge.agent import read_config
from edge.cli.shared import add_command, add_config
from edge.doctor import Finding, Verdict, findings
from edge.messages import say

EXIT_NO = 1
_STYLE = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.BAD: "red"}
_MARK = {Verdict.OK: "✓", Verdict.WARN: "!", Verdict.BAD: "✗"}


def add_doctor(commands: Any) -> None:
    """Add the commands of this module."""
    text = "体检：磁盘、时钟、令牌、串口、供电、服务器 / what would keep the agent from its work"
    sub = add_command(commands, "doctor", text, "doctor --config agent.yaml", _doctor)
    add_config(sub)
    sub.add_argument("--json", action="store_true", help="机器可读 / machine-readable")


def _doctor(args: argparse.Namespace) -> int:
    config = read_config(args.config)
    found = list(findings(config, SystemClock().now_ms()))
    bad = sum(f.verdict is Verdict.BAD for f in found)
    if args.json:
        rows = [{"name": f.name, "verdict": f.verdict, "text": _text(f)} for f in found]
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
        return EXIT_NO if bad else 0
    console = Console(highlight=False, soft_wrap=True)
    for it in found:
        console.print(f"{_MARK[it.verdict]} {_text(it)}", style=_STYLE[it.verdict], markup=False)
    warnings = sum(f.verdict is Verdict.WARN for f in found)
    console.print(say("doctor_sum", bad=bad, warnings=warnings, all=len(found)), markup=False)
    return EXIT_NO if bad else 0


def _text(finding: Finding) -> str:
    return say(f"doctor_{finding.name}_{finding.verdict}", **finding.values)
