"""Renews docs/commissioning.md from real runs: `python -m tests.edge.commission.transcripts`.

Every block between `<!-- transcript: name -->` and `<!-- end -->` is what a command printed, on
lines served by the simulators; the pictures are pages shown by Chromium.
"""

import asyncio
import io
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from edge.commission.checks import physical_checks
from edge.commission.session import Session
from edge.commission.show import WIDTH, probe_view
from edge.commission.target import Target, tcp_connection
from edge.decode import Source
from edge.profile import find_profile
from tests.edge.commission.lines import (
    bus,
    meter,
    raw_device,
    reversed_a,
    serial_devices,
    swapped,
    tcp_devices,
)

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "commissioning.md"
BLOCK = re.compile(r"(<!-- transcript: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
CHROMIUM = (
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--hide-scrollbars", "--force-device-scale-factor=1.25",
)  # fmt: skip
SHELL = """<!doctype html><meta charset="utf-8"><style>body{{margin:16px;background:{background};
color:{foreground}}}pre{{font:15px/1.35 "Noto Sans Mono CJK SC",monospace}}</style>
<pre>{code}</pre>"""


def ran(folder: Path, *commands: str) -> str:
    """Run commands as a person would; give what the terminal showed."""
    out = []
    for command in commands:
        script = Path(sys.executable).parent / "compound-edge"
        words = [str(script), *shlex.split(command)[1:]]
        done = subprocess.run(
            words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )  # fmt: skip
        shown = "\n".join(line.rstrip() for line in done.stdout.rstrip().splitlines())
        out.append(f"$ {command}\n{shown}\n")
    return "```text\n" + "\n".join(out) + "```\n"


def screens(folder: Path) -> Iterator[tuple[str, str]]:
    """Give each transcript by name."""
    devices = {3: meter("eastron/sdm630"), 7: meter("chint/dtsu666", 40)}
    with serial_devices(2400, devices) as line:
        port = line.master_end
        yield "scan", ran(folder, f"compound-edge scan --port {port} --parity N --units 1-8")
    with bus(9600, ()) as empty:
        command = f"compound-edge scan --port {empty.master_end} --parity N --units 1-4"
        yield "nothing", ran(folder, command)
    with tcp_devices({1: reversed_a("eastron/sdm630")}) as host:
        line_ = f"--tcp {host} --unit 1 --profile eastron/sdm630"
        yield "probe", ran(folder, f"compound-edge probe {line_} --once")
    yield from _solved(folder)
    with tcp_devices({1: meter("eastron/sdm630")}) as host:
        shown = "--shown voltage_l1_v=231.2 --shown energy_import_kwh=18423.5"
        line_ = f"--tcp {host} --unit 1 --profile eastron/sdm630"
        record = f"compound-edge record {line_} {shown} --firmware V1.2"
        yield "record", ran(folder, record)
    with tcp_devices({7: meter("chint/dtsu666", 40)}) as host:
        line_ = f"--tcp {host} --unit 7 --profile chint/dtsu666 --ct-ratio 150/5"
        given = "--place 3号楼配电室 --display power_kw=13.25 --clamp l1=21.5 --reads 5"
        yield "accept", ran(folder, f"compound-edge accept {line_} {given} --write E02.html")


def _solved(folder: Path) -> Iterator[tuple[str, str]]:
    with _strange_meter(231.25, 50.0625) as host:
        line = f"--tcp {host} --unit 1 --function 3 --from 0 --to 99"
        yield "solve", ran(folder, f"compound-edge solve {line} --value 231.2V")
    with _strange_meter(229.5, 50.0625) as host:
        line = f"--tcp {host} --unit 1 --function 3 --from 0 --to 99"
        yield "again", ran(folder, f"compound-edge solve {line} --value 229.5V --again")


@contextmanager
def _strange_meter(volts: float, hertz: float) -> Iterator[str]:
    """A meter of no known profile: low word first, and holes between its registers."""
    words = swapped(0x12, volts) | swapped(0x30, hertz) | {0x40: 2312, 0x41: 2310}
    with tcp_devices(raw=raw_device(1, words, [(0x10, 0x1A), (0x30, 0x44)])) as host:
        yield host


def pictures(folder: Path) -> None:
    """Show the acceptance sheet and a probe with Chromium, and keep the pictures."""
    photographed(folder / "E02.html", "commissioning-accept.png", "794,1480")
    page = folder / "probe.html"
    page.write_text(_probe_page(), "utf-8")
    photographed(page, "commissioning-probe.png", "760,760")


def photographed(page: Path, name: str, size: str) -> None:
    """Take the picture of a page."""
    target = f"--screenshot={DOCS / 'images' / name}"
    command = [*CHROMIUM, target, f"--window-size={size}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True)


def _probe_page() -> str:
    profile = find_profile("eastron/sdm630")
    with tcp_devices({1: reversed_a("eastron/sdm630")}) as host:
        connection = tcp_connection(host, 1.0, rtu=False)
        target = Target("E01", connection, 1, Source("site", "E01"), profile)
        session = Session.open(target, profile)

        async def once() -> None:
            sample = await session.sample()
            await session.close()
            title = f"E01  TCP {host}  站号 unit 1"
            console.print(probe_view(title, profile, sample, physical_checks(sample.values)))

        console = Console(record=True, width=WIDTH, force_terminal=True, file=io.StringIO())
        asyncio.run(once())
    return console.export_html(inline_styles=True, code_format=SHELL)


def main() -> None:
    """Renew the page and its pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = dict(screens(folder))
        text = PAGE.read_text("utf-8")
        PAGE.write_text(BLOCK.sub(lambda m: m[1] + found[m[2]] + m[3], text), "utf-8")
        pictures(folder)


if __name__ == "__main__":
    main()
