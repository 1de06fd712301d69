"""solve: from the number on a display to the register that holds it."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from contract.errors import DeviceError
from edge.cli.scan import numbers
from edge.cli.shared import add_command
from edge.cli.targets import (
    EXIT_NO,
    add_target,
    guarded,
    output,
    progress_console,
    silence,
    target_of,
)
from edge.commission.show import candidates_table
from edge.commission.solve import (
    Candidate,
    Shown,
    Span,
    candidates,
    distinct,
    narrowed,
    parse_shown,
    point_line,
    still_right,
)
from edge.commission.sweep import Sweep, usual_ranges
from edge.commission.target import Target, same_place, wrong
from edge.drivers.open import open_driver
from edge.messages import say
from edge.profile import all_profiles

STATE = Path("compound-solve.json")
ROWS_SHOWN = 8


def add_solve(commands: Any) -> None:
    """Add `solve`."""
    text = "按屏幕显示的数值找寄存器 / find the registers that hold what the display shows"
    example = (
        "solve --tcp 192.168.1.20 --unit 1 --value 230.2V\n"
        "            compound-edge solve --tcp 192.168.1.20 --unit 1 --value 229.7V --again\n"
        "            compound-edge solve --port /dev/… --value 230.2 --unit V --value 50.01Hz"
    )
    sub = add_command(commands, "solve", text, example, guarded(_solve))
    add_target(sub, with_profile=False)
    sub.add_argument(
        "--value", action="append", required=True, metavar="230.2V",
        help="屏幕上的数值，可多次 / what the display shows; repeatable; or voltage_l1_v=230.2",
    )  # fmt: skip
    sub.add_argument(
        "--unit", action="append", default=[], metavar="N|V",
        help="数字是站号，字母是数值的单位 / digits: unit id; letters: the values' unit",
    )  # fmt: skip
    sub.add_argument("--function", default="3,4", metavar="3,4", help="功能码 / function codes")
    sub.add_argument("--from", dest="first", metavar="A", help="起始地址 / first (0x… 可)")
    sub.add_argument("--to", dest="last", metavar="B", help="结束地址 / last address")
    sub.add_argument("--address", metavar="A", help="说明书地址，±1 / the manual's address, ±1")
    sub.add_argument(
        "--again", action="store_true", help="数值变了再来一次 / once more after it changed"
    )
    sub.add_argument(
        "--state", type=Path, default=STATE, metavar="FILE", help=f"记录文件 ({STATE})"
    )
    sub.add_argument("--json", action="store_true", help="机器可读 / machine-readable")


def _solve(args: argparse.Namespace) -> int:
    unit, shown = _given(args)
    functions = numbers("--function", args.function, 3, 4)
    ranges = _ranges(args, functions)
    earlier = _load(args.state) if args.again else []
    target = target_of(args, unit)
    ratios = _ratios(target)
    sweep, spans = _sweep(target, ranges)
    if not spans:
        silence(target)
        return EXIT_NO
    lists = [_one(s, spans, ratios, earlier) for s in shown]
    shown_all = [*shown, *(s for s, _ in earlier)]
    found = narrowed([*lists, *(cs for _, cs in earlier)], shown_all)
    rows = list(zip(shown_all, found, strict=True))
    _save(args.state, rows)
    if args.json:
        _print_json(rows, sweep)
    else:
        _print(target, rows, sweep, args.state)
    return 0 if all(found) else EXIT_NO


def _given(args: argparse.Namespace) -> tuple[int, list[Shown]]:
    """Tell unit ids from units of measure; ConfigError for what cannot be read."""
    ids = [u for u in args.unit if u.isascii() and u.isdigit()]
    units = [u for u in args.unit if u not in ids]
    if len(ids) > 1 or any(not 1 <= int(i) <= 247 for i in ids):
        raise wrong("--unit", "1-247", " ".join(ids), "--unit 1")
    if len(units) not in {0, 1, len(args.value)}:
        raise wrong("--unit", say("solve_unit_each"), " ".join(units), "--value 230.2V")
    shown = []
    for i, text in enumerate(args.value):
        unit = units[min(i, len(units) - 1)] if units else ""
        one = parse_shown(text, unit)
        if one is None:
            raise wrong("--value", "230.2V, 12.3kW, 50.01Hz, 1234.5kWh", text, "--value 230.2V")
        if one.value == 0:
            raise wrong("--value", say("solve_not_zero"), text, say("solve_wait"))
        shown.append(one)
    return int(ids[0]) if ids else 1, shown


def _ranges(args: argparse.Namespace, functions: Sequence[int]) -> list[tuple[int, int, int]]:
    if args.address is not None:
        middle = _address("--address", args.address)
        return [(f, max(0, middle - 1), min(middle + 5, 65_536)) for f in functions]
    if args.first is None and args.last is None:
        return usual_ranges(functions, all_profiles())
    first = _address("--from", args.first or "0")
    last = _address("--to", args.last or str(min(first + 200, 65_535)))
    if last < first:
        raise wrong("--to", f">= {first}", last, "--from 0 --to 200")
    return [(f, first, last + 1) for f in functions]


def _address(key: str, text: str) -> int:
    try:
        value = int(text, 0)
    except ValueError as error:
        raise wrong(key, "0-65535 或 or 0x0000-0xFFFF", text, f"{key} 0x2000") from error
    if not 0 <= value <= 65_535:
        raise wrong(key, "0-65535", text, f"{key} 0x2000")
    return value


def _ratios(target: Target) -> dict[str, Fraction]:
    ct, pt = target.source.ct_ratio, target.source.pt_ratio
    rows = {"1": Fraction(1), "CT": ct, "PT": pt, "CT·PT": ct * pt}
    out: dict[str, Fraction] = {}
    for name, value in rows.items():
        if value not in out.values():
            out[name] = value
    return out


def _sweep(target: Target, ranges: Sequence[tuple[int, int, int]]) -> tuple[Sweep, list[Span]]:
    console = progress_console()
    columns = (TextColumn(say("solve_reading")), BarColumn(bar_width=30), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=sum(b - a for _, a, b in ranges))
        sweep = Sweep(
            open_driver(target.connection), target.unit,
            on_step=lambda registers: progress.advance(task, registers),
        )  # fmt: skip

        async def run() -> list[Span]:
            try:
                return await sweep.run(ranges)
            except DeviceError:
                return []
            finally:
                await asyncio.shield(sweep.driver.close())

        return sweep, asyncio.run(run())


Rows = list[tuple[Shown, list[Candidate]]]


def _one(
    shown: Shown, spans: Sequence[Span], ratios: Mapping[str, Fraction], earlier: Rows
) -> list[Candidate]:
    """Give what is left for a value: of its earlier candidates if it has any."""
    for i, (before, kept) in enumerate(earlier):
        if before.measurand == shown.measurand and before.unit == shown.unit:
            del earlier[i]
            return still_right(kept, spans, shown, ratios)
    return candidates(spans, shown, ratios)


def _load(path: Path) -> Rows:
    try:
        rows = json.loads(path.read_text("utf-8"))
        return [(Shown(**r["shown"]), [Candidate(**c) for c in r["candidates"]]) for r in rows]
    except OSError as error:
        got = f"{path}: {error.strerror}"
        raise wrong("--again", say("solve_first"), got, "solve --value …") from error
    except (ValueError, TypeError, KeyError) as error:
        raise wrong("--state", say("solve_state"), path, f"rm {path}") from error


def _save(path: Path, rows: Rows) -> None:
    content = [{"shown": asdict(s), "candidates": [asdict(c) for c in cs]} for s, cs in rows]
    try:
        path.write_text(json.dumps(content), "utf-8")
    except OSError as error:
        got = f"{path}: {error.strerror}"
        raise wrong("--state", say("solve_writable"), got, "--state FILE") from error


def _print(target: Target, rows: Rows, sweep: Sweep, state: Path) -> None:
    console = output()
    counts = {"requests": sweep.requests, "refused": sweep.refused}
    place = same_place(target.connection)
    console.print(say("solve_read", place=place, unit=target.unit, **counts), markup=False)
    for shown, found in rows:
        groups = distinct(found)
        title = say("solve_title", value=f"{shown.value:g} {shown.unit}", count=len(groups))
        if not groups:
            console.print(title, style="yellow", markup=False)
            console.print(say("solve_none"), markup=False)
            continue
        console.print(candidates_table(title, groups, shown.unit, ROWS_SHOWN))
        console.print(say("solve_line"), markup=False)
        console.print(point_line(groups[0][0], shown), markup=False, soft_wrap=True)
        if len(groups) > 1:
            console.print(say("solve_more", count=len(groups), state=state), markup=False)


def _print_json(rows: Rows, sweep: Sweep) -> None:
    out = {
        "requests": sweep.requests,
        "refused": sweep.refused,
        "values": [
            {
                "shown": asdict(s),
                "remaining": len(distinct(cs)),
                "candidates": [
                    {**asdict(c), "also": list(also), "point": point_line(c, s)}
                    for c, also in distinct(cs)
                ],
            }
            for s, cs in rows
        ],
    }
    sys.stdout.write(json.dumps(out, ensure_ascii=False, indent=1) + "\n")
