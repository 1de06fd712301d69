"""record, accept: what a device shows, proven: as a profile's example, as an acceptance sheet."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from contract.clock import SystemClock
from contract.measurand import MEASURANDS
from edge.cli.shared import add_command, tell
from edge.cli.targets import (
    EXIT_NO,
    add_target,
    guarded,
    new_file,
    output,
    profile_of,
    progress_console,
    silence,
    target_of,
)
from edge.commission.capture import capture_text, confirmed, examples, own_blocks
from edge.commission.checks import PHASES, Check
from edge.commission.judge import Observed, Wiring, judge, passes
from edge.commission.session import Sample, Session
from edge.commission.sheet import Sheet, sheet_html
from edge.commission.show import checks_view
from edge.commission.snippet import needs_ratio
from edge.commission.solve import COUNTED, Shown, parse_shown
from edge.commission.target import Target, same_place, wrong
from edge.messages import say
from edge.plan import plan
from edge.profile import DeviceProfile

SAMPLE_S = 1.0


def add_record(commands: Any) -> None:
    """Add `record`."""
    text = "录制报文，作为档案的实例 / capture registers as an example of a profile"
    example = (
        "record --tcp 192.168.1.20 --unit 1 --profile eastron/sdm630 \\\n"
        "              --shown voltage_l1_v=230.2 --shown frequency_hz=50.01 "
        "--firmware V1.2 --write capture.yaml"
    )
    sub = add_command(commands, "record", text, example, guarded(_record))
    add_target(sub)
    sub.add_argument(
        "--shown", action="append", required=True, metavar="voltage_l1_v=230.2",
        help="屏幕显示值，可多次 / what the display shows; repeatable",
    )  # fmt: skip
    sub.add_argument("--firmware", default="", help="固件版本，照屏幕抄 / firmware as displayed")
    sub.add_argument(
        "--keep-energy", action="store_true", help="电量照录 / keep counters as they are"
    )
    sub.add_argument("--write", type=Path, metavar="FILE", help="写到文件 / default: the terminal")


def add_accept(commands: Any) -> None:
    """Add `accept`."""
    text = "验收一台设备并出验收单 / accept a device, with a printable sheet"
    example = (
        "accept --config agent.yaml --device E02 --place 3号楼配电室 \\\n"
        "              --display power_kw=12.31 --clamp l1=21.5 --minutes 2"
    )
    sub = add_command(commands, "accept", text, example, guarded(_accept))
    add_target(sub)
    sub.add_argument("--place", default="", help="安装地点 / where it hangs")
    sub.add_argument(
        "--display", action="append", default=[], metavar="power_kw=12.3",
        help="表屏显示值，可多次 / what the meter's display shows; repeatable",
    )  # fmt: skip
    sub.add_argument(
        "--clamp", action="append", default=[], metavar="l1=21.5", help="钳表电流 / clamp meter, A"
    )
    sub.add_argument("--minutes", type=float, default=2.0, metavar="N", help="观察时长 (2)")
    sub.add_argument("--reads", type=int, metavar="N", help="改为读 N 次 / N samples instead")
    sub.add_argument("--write", type=Path, metavar="FILE", help="验收单 / default: accept-ID.html")
    sub.add_argument("--json", action="store_true", help="机器可读 / machine-readable")


def _shown(key: str, texts: Sequence[str], profile: DeviceProfile) -> list[Shown]:
    """Read NAME=VALUE arguments; each name must be a point of the profile.  ConfigError."""
    offered = [p.measurand for p in profile.points]
    out = []
    for text in texts:
        name = text.partition("=")[0].strip()
        if name not in offered:
            raise wrong(key, ", ".join(offered), name, f"{key} {offered[0]}=…")
        one = parse_shown(text)
        if one is None:
            raise wrong(key, f"{name}=… {MEASURANDS[name].unit}", text, f"{key} {name}=230.2")
        out.append(one)
    return out


def _local(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _record(args: argparse.Namespace) -> int:
    new_file(args.write)
    target = target_of(args)
    profile = profile_of(target)
    shown = _shown("--shown", args.shown, profile)
    session = Session.open(target, profile)
    sample = asyncio.run(_one_sample(session))
    if sample.is_silent:
        silence(target)
        return EXIT_NO
    rows = confirmed(shown, sample.readings, profile, target.source)
    for row in rows:
        if not row.holds:
            numbers = {"name": row.shown.measurand, "shown": f"{row.shown.value:g}"}
            read = "—" if row.value is None else f"{row.value:.6g}"
            tell("record_differs", read=read, **numbers)
    if not all(r.holds for r in rows):
        return EXIT_NO
    text = _capture(args, profile, shown, sample, session.auxiliary)
    if args.write is None:
        sys.stdout.write(text)
    else:
        args.write.write_text(text, "utf-8")
        tell("record_written", path=args.write, ref=profile.ref)
    return 0


async def _one_sample(session: Session) -> Sample:
    try:
        return await session.sample()
    finally:
        await asyncio.shield(session.close())


def _capture(
    args: argparse.Namespace, profile: DeviceProfile,
    shown: Sequence[Shown], sample: Sample, auxiliary: Mapping[str, Fraction],
) -> str:  # fmt: skip
    day = _local(sample.time_ms)[:10]
    told = [s for s in shown if args.keep_energy or s.unit not in COUNTED]
    seen = ", ".join(f"{s.measurand} {s.value:g} {s.unit}" for s in told)
    moved = [s.measurand for s in shown if s not in told]
    seen = "; ".join(
        filter(None, [seen, "less whole thousands: " * bool(moved) + ", ".join(moved)])
    )
    firmware = f"; firmware {args.firmware}" if args.firmware else ""
    source = f"capture {day}{firmware}; the display showed {seen}"
    keep = args.keep_energy
    blocks = own_blocks(plan(profile.points, profile.limits), sample.words, keep_energy=keep)
    found = examples(blocks, sample.words, auxiliary, shown, source, keep_energy=keep)
    energy = say("record_energy_kept" if args.keep_energy else "record_energy_moved")
    head = [say("record_head", ref=profile.ref, day=day), energy]
    return capture_text(head, found)


def _accept(args: argparse.Namespace) -> int:
    if args.reads is not None and args.reads < 1:
        raise wrong("--reads", ">= 1", args.reads, "--reads 5")
    if not 0 < args.minutes <= 24 * 60:
        raise wrong("--minutes", "0-1440", args.minutes, "--minutes 5")
    target = target_of(args)
    path = args.write or Path(f"accept-{target.name}.html")
    new_file(path)
    profile = profile_of(target)
    displays = _shown("--display", args.display, profile)
    clamps = _shown("--clamp", [_current(c) for c in args.clamp], profile)
    session = Session.open(target, profile)
    samples = _watch(session, args.reads, args.minutes * 60)
    if all(s.is_silent for s in samples):
        silence(target)
    observed = _observed(session, samples)
    wiring = Wiring(
        float(target.source.ct_ratio), float(target.source.pt_ratio),
        needs_ratio(profile) and target.source.ct_ratio != 1,
    )  # fmt: skip
    checks = judge(observed, wiring, displays, clamps)
    path.write_text(sheet_html(_sheet(args, target, profile, samples), checks, observed), "utf-8")
    _tell_result(args, target, checks, path)
    return 0 if passes(checks) else EXIT_NO


def _current(text: str) -> str:
    """Turn "l1=21.5" or "A=21.5" into the measurand's name."""
    phase, equals, value = text.partition("=")
    key = {"a": "l1", "b": "l2", "c": "l3"}.get(phase.strip().lower(), phase.strip().lower())
    if key not in PHASES or not equals:
        raise wrong("--clamp", "l1=… l2=… l3=…", text, "--clamp l1=21.5")
    return f"current_{key}_a={value.strip().rstrip('Aa')}"


def _watch(session: Session, reads: int | None, seconds: float) -> list[Sample]:
    console, clock = progress_console(), SystemClock()
    columns = (TextColumn(say("accept_reading")), BarColumn(bar_width=30), TimeRemainingColumn())
    samples: list[Sample] = []
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=reads or seconds)

        async def run() -> None:
            started_s = clock.monotonic_s()
            try:
                while True:
                    samples.append(await session.sample())
                    passed_s = clock.monotonic_s() - started_s
                    progress.update(task, completed=len(samples) if reads else passed_s)
                    if (len(samples) >= reads) if reads else (passed_s >= seconds):
                        return
                    await asyncio.sleep(SAMPLE_S)
            finally:
                await asyncio.shield(session.close())

        asyncio.run(run())
    return samples


def _observed(session: Session, samples: Sequence[Sample]) -> Observed:
    p50, p99 = session.latency_s(0.5), session.latency_s(0.99)
    return Observed(
        tuple(s.at_s for s in samples), tuple(s.values for s in samples),
        session.requests, session.failures, session.reasons, p50, p99, session.refused,
    )  # fmt: skip


def _sheet(
    args: argparse.Namespace, target: Target, profile: DeviceProfile, samples: Sequence[Sample]
) -> Sheet:
    line = same_place(target.connection)
    checked = say("sheet_checked", displays=len(args.display), clamps=len(args.clamp))
    ct, pt = float(target.source.ct_ratio), float(target.source.pt_ratio)
    minutes = (samples[-1].at_s - samples[0].at_s) / 60
    values = (
        target.name, args.place, profile.title, profile.ref, line, str(target.unit),
        f"{ct:g}", f"{pt:g}", say("sheet_span", samples=len(samples), minutes=minutes), checked,
    )  # fmt: skip
    facts = tuple(zip(say("sheet_facts").split("|"), values, strict=True))
    return Sheet(f"{say('sheet_title')} {target.name}", facts, _local(samples[-1].time_ms))


def _tell_result(
    args: argparse.Namespace, target: Target, checks: Sequence[Check], path: Path
) -> None:
    good = passes(checks)
    if args.json:
        rows = [{"check": c.name, "holds": c.holds, "text": c.text} for c in checks]
        out = {"device": target.name, "passed": good, "sheet": str(path), "checks": rows}
        sys.stdout.write(json.dumps(out, ensure_ascii=False) + "\n")
        return
    console = output()
    console.print(say("accept_title", name=target.name), style="bold", markup=False)
    for row in checks_view(checks):
        console.print(row)
    word = say("sheet_passed" if good else "sheet_failed")
    console.print(word, style="bold green" if good else "bold red", markup=False)
    console.print(say("accept_sheet", path=path), markup=False, soft_wrap=True)
