"""python -m tests.faults: put an agent through every network fault; write the table into docs."""

import logging
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import structlog

from tests.faults.catalogue import FAULTS
from tests.faults.network import Outcome, plainly, run

PAGE = Path(__file__).parents[2] / "docs/faults.md"
BEGIN, END = "<!-- network faults: written by make faults -->", "<!-- end of network faults -->"
_LONGEST = 90  # words of the agent, in characters
_FAULT_S = 3.0


def table(found: Iterable[Outcome]) -> str:
    """Give the table as Markdown."""
    rows = [
        "| fault | 中文 | what the agent said | committed | lost | doubled | sent again |",
        "|---|---|---|---|---|---|---|",
    ]
    for it in found:
        said = plainly(it.said).replace("|", "\\|").replace("<", "&lt;")[:_LONGEST] or "–"
        v = it.verdict
        figures = f"{v.points} | {len(v.lost)} | {len(v.doubled)} | {v.resent}"
        rows.append(f"| {it.fault.what} | {it.fault.chinese} | {said} | {figures} |")
    return "\n".join(rows)


def main() -> int:
    """Run all; 0 when each holds."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    found = []
    for fault in FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            found.append(run(fault, Path(folder), _FAULT_S))
        sys.stdout.write(f"{'ok ' if found[-1].holds else 'BAD'} {fault.id}\n")
        sys.stdout.flush()
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}", "utf-8")
    return 0 if all(it.holds for it in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
