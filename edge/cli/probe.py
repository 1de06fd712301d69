"""probe: all points of one device, live, beside what physics says about them."""

import argparse
import asyncio
import contextlib
import json
import sys
from typing import Any

from rich.live import Live

from contract.measurand import MEASURANDS
from edge.cli.shared import add_command
from edge.cli.targets import EXIT_NO, add_target, guarded, output, profile_of, silence, target_of
from edge.commission.checks import Check, counter_running, physical_checks
from edge.commission.session import Sample, Session
from edge.commission.show import probe_view
from edge.commission.target import Target, same_place
from edge.messages import say

REFRESH_S = 1.0


def add_probe(commands: Any) -> None:
    """Add `probe`."""
    text = "实时查看一台设备的全部测点 / all points of one device, live"
    example = (
        "probe --config agent.yaml --device E01\n"
        "            compound-edge probe --tcp 192.168.1.20 --unit 3 "
        "--profile eastron/sdm630 --once"
    )
    sub = add_command(commands, "probe", text, example, guarded(_probe))
    add_target(sub)
    sub.add_argument("--once", action="store_true", help="只读一次 / read once")
    sub.add_argument("--count", type=int, metavar="N", help="读 N 次 / read N times")
    sub.add_argument("--json", action="store_true", help="每次一行 JSON / a line of JSON each time")


def _probe(args: argparse.Namespace) -> int:
    target = target_of(args)
    session = Session.open(target, profile_of(target))
    count = 1 if args.once else args.count
    watch = _Watch(target, session, count, as_json=args.json)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how a live table is ended
        asyncio.run(watch.run())
    if watch.last is None or watch.last.is_silent:
        silence(target)
        return EXIT_NO
    return 0 if watch.last.values and all(c.holds is not False for c in watch.checks) else EXIT_NO


class _Watch:
    """Reads until told to stop, and shows each sample."""

    def __init__(
        self, target: Target, session: Session, count: int | None, *, as_json: bool
    ) -> None:
        self.target, self.session, self.count, self.as_json = target, session, count, as_json
        self.last: Sample | None = None
        self.first: Sample | None = None
        self.checks: list[Check] = []

    async def run(self) -> None:
        console = output()
        live = console.is_terminal and not self.as_json and self.count != 1
        shown = Live(console=console, auto_refresh=False) if live else None
        try:
            with shown or contextlib.nullcontext():
                left = self.count
                while left is None or left > 0:
                    await self._next()
                    self._show(shown)
                    left = None if left is None else left - 1
                    if left != 0:
                        await asyncio.sleep(REFRESH_S)
        finally:
            await asyncio.shield(self.session.close())

    async def _next(self) -> None:
        self.last = await self.session.sample()
        if self.first is None and self.last.values:
            self.first = self.last
        has_vt = self.target.source.pt_ratio != 1
        self.checks = physical_checks(self.last.values, has_vt=has_vt)
        if self.first is not None and self.last is not self.first:
            hours = (self.last.at_s - self.first.at_s) / 3600
            running = counter_running(self.first.values, self.last.values, hours)
            self.checks += [running] if running is not None else []

    def _show(self, live: Live | None) -> None:
        if self.last is None:
            return
        if self.as_json:
            sys.stdout.write(json.dumps(self._as_dict(self.last), ensure_ascii=False) + "\n")
            sys.stdout.flush()
            return
        place = same_place(self.target.connection)
        title = say("probe_title", name=self.target.name, place=place, unit=self.target.unit)
        view = probe_view(title, self.session.profile, self.last, self.checks)
        if live is None:
            output().print(view)
        else:
            live.update(view, refresh=True)

    def _as_dict(self, sample: Sample) -> dict[str, object]:
        return {
            "device": self.target.name,
            "time_ms": sample.time_ms,
            "points": [
                {
                    "measurand": name,
                    "value": r.value,
                    "unit": MEASURANDS[name].unit,
                    "quality": r.reason.name.lower(),
                    "words": list(sample.words.get(name, ())),
                }
                for name, r in sample.readings.items()
            ],
            "checks": [{"check": c.name, "holds": c.holds, "text": c.text} for c in self.checks],
        }
