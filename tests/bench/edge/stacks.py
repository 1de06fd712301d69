"""The same job by three stacks: 50 meters × 20 floats every 0.1 s, kept durably, pushed on."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import which

from simulators.stage import Footprint, footprint
from tests.bench.edge.bench import Bench, Result, ended
from tests.bench.edge.meters import FLOATS_20, lay_profile, tcp_agent, write_image
from tests.bench.edge.sink import bodies_in
from tests.bench.edge.slaves import Slave, tcp_slave

METERS, INTERVAL_S = 50, 0.1
VALUES_A_ROUND = METERS * len(FLOATS_20)
COLLECTD_MODBUS = Path("/usr/lib/collectd/modbus.so")
OURS, NAIVE, COLLECTD = "compound-edge", "naive Python", "collectd"
_SCRIPT = str(Path(sys.executable).parent / "compound-edge")


@dataclass(slots=True)
class Running:
    """A stack at work between its slave and its sink, in a folder of its own."""

    slave: Slave
    process: subprocess.Popen[bytes]
    folder: Path
    values_a_request: int
    start: Callable[[], subprocess.Popen[bytes]]

    def values(self) -> int:
        """Give how many values the slave has handed out to it."""
        return self.slave.counts().answered * self.values_a_request

    def footprint(self) -> Footprint:
        return footprint(self.process.pid)

    def measured(self, seconds: float) -> Result:
        """Give what the process costs over some seconds, for each value that was read."""
        before, values, began_s = self.footprint(), self.values(), time.perf_counter()
        time.sleep(seconds)
        after, took_s = self.footprint(), time.perf_counter() - began_s
        values = self.values() - values
        used_s = after.cpu_s - before.cpu_s
        return {
            "us_per_value": used_s / max(values, 1) * 1e6,
            "cpu_share": used_s / took_s,
            "kept_up": values / took_s / (VALUES_A_ROUND / INTERVAL_S),
            "rss_mib": after.rss_mib,
            "peak_rss_mib": after.peak_rss_mib,
        }

    def drain(self, seconds: float) -> None:
        """Stop the stack and its meters, and start it again, so that what waited is pushed."""
        ended(self.process)
        self.slave.stop()
        self.process = self.start()
        time.sleep(seconds)
        ended(self.process)


@contextmanager
def running(bench: Bench, stack: str, name: str) -> Iterator[Running]:
    """Start a stack with its slave and its sink; all are ended at the end."""
    folder = bench.folder / name
    folder.mkdir()
    ref = lay_profile(bench.folder, "m40", FLOATS_20)
    image = write_image(bench.folder / "image")
    sink = bench.start([sys.executable, "-m", "tests.bench.edge.sink", str(folder)], "sink.log")
    try:
        while not (folder / "port").exists():
            if sink.poll() is not None:
                raise RuntimeError((bench.folder / "sink.log").read_text("utf-8"))
            time.sleep(0.02)
        url = f"http://127.0.0.1:{(folder / 'port').read_text('ascii')}"
        with tcp_slave(bench.folder, 0.0, image) as slave:
            command = _command(stack, folder, slave.port, url, ref)
            start = partial(bench.start, command, f"{stack}.log")
            once = 1 if stack == COLLECTD else len(FLOATS_20)
            it = Running(slave, start(), folder, once, start)
            try:
                yield it
            finally:
                ended(it.process)
    finally:
        ended(sink)


def _command(stack: str, folder: Path, port: int, url: str, ref: str) -> list[str]:
    if stack == OURS:
        agent = tcp_agent(folder / "agent.yaml", port, ref, METERS, INTERVAL_S, url)
        return [_SCRIPT, "run", "--config", str(agent)]
    if stack == NAIVE:
        module = [sys.executable, "-m", "tests.bench.edge.naive"]
        return [*module, str(port), str(METERS), str(INTERVAL_S), url, str(folder / "naive.db")]
    config = folder / "collectd.conf"
    config.write_text(_collectd_config(folder, port, url), "utf-8")
    return [_collectd(), "-f", "-C", str(config), "-P", str(folder / "pid")]


def _collectd() -> str:
    return which("collectd", path="/usr/sbin:/usr/bin:/sbin:/bin") or "collectd"


def has_collectd() -> bool:
    return COLLECTD_MODBUS.exists()


def _collectd_config(folder: Path, port: int, url: str) -> str:
    floats = "\n".join(
        f'<Data "f{i}">\n RegisterBase {2 * i}\n RegisterType Float\n Type "gauge"\n'
        f' Instance "f{i}"\n</Data>'
        for i in range(len(FLOATS_20))
    )
    collect = "\n".join(f'  Collect "f{i}"' for i in range(len(FLOATS_20)))
    hosts = "\n".join(
        f'<Host "M{m}">\n Address "127.0.0.1"\n Port "{port}"\n Interval {INTERVAL_S}\n'
        f" <Slave 1>\n{collect}\n </Slave>\n</Host>"
        for m in range(METERS)
    )
    return f"""FQDNLookup false
Hostname "bench"
BaseDir "{folder}"
TypesDB "/usr/share/collectd/types.db"
Interval {INTERVAL_S}
LoadPlugin modbus
LoadPlugin write_http
<Plugin modbus>
{floats}
{hosts}
</Plugin>
<Plugin write_http>
<Node "sink">
 URL "{url}/collectd"
 Format "JSON"
 BufferSize 65536
</Node>
</Plugin>
"""


def values_at_sink(folder: Path) -> set[tuple[str, int, str]]:
    """Give the (meter, slot, measurand) of every value there; receipts and health are none."""
    seen: set[tuple[str, int, str]] = set()
    for line in (line for body in bodies_in(folder) for line in body.splitlines()):
        head, fields, slot = line.split(" ")
        if head.startswith("electricity,"):
            names = (f.partition("=")[0] for f in fields.split(","))
            seen.update((head, int(slot), n) for n in names if n in FLOATS_20)
    return seen
