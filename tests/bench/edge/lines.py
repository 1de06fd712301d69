"""Serial lines: how much of the wire's time carries reads, and whether t3.5 is kept."""

from functools import partial

from tests.bench.edge.bench import Bench, Result, median_of, spread
from tests.bench.edge.meters import FLOATS_20, lay_profile, write_image
from tests.bench.edge.others import silence_s
from tests.bench.edge.slaves import rtu_slave

CLIENTS = {"ours": "this driver", "pymodbus": "pymodbus async", "plain": "plain blocking loop"}
TARGETS = {9600: 98, 19_200: 98, 115_200: 95}
READS = {9600: 15, 19_200: 30, 115_200: 140}
TIMES = 3


def wire_s(baud: int, registers: int) -> float:
    """Give what a read takes on the wire: request, t3.5, answer, t3.5 (11-bit characters)."""
    return (8 + 5 + 2 * registers) * 11 / baud + 2 * silence_s(baud)


def serial_lines(bench: Bench) -> None:
    ref = lay_profile(bench.folder, "m40", FLOATS_20)
    image = write_image(bench.folder / "image")

    def run(client: str, baud: int) -> Result:
        with rtu_slave(bench.folder, baud, image) as slave:
            reads = READS[baud]
            done = bench.work(
                "rtu", client=client, device=slave.address, baud=baud, reads=reads, ref=ref
            )
            seen = slave.counts()
        cycles = min(done["good"], seen.answered - 1)
        took_s = (seen.last_ns - seen.first_ns) / 1e9
        return {
            "utilisation": cycles * wire_s(baud, 2 * len(FLOATS_20)) / took_s * 100,
            "ms_per_read": done["cpu_s"] / reads * 1000,
            "early": seen.early,
            "failed": reads - done["good"] + seen.broken,
        }

    for baud, target in TARGETS.items():
        jobs = {client: partial(run, client, baud) for client in CLIENTS}
        results = bench.in_turn(f"serial line, {baud} baud", jobs, TIMES)
        for client, name in CLIENTS.items():
            of = results[client]
            early = sum(r["early"] for r in of)
            use = median_of(of, "utilisation")
            text = (
                f"{spread([r['utilisation'] for r in of])} % of the wire · t3.5 broken {early}"
                f"/{TIMES * READS[baud]} · {median_of(of, 'ms_per_read'):.2f} ms CPU a read"
            )
            failed = sum(r["failed"] for r in of)
            text += f" · {failed} failed" if failed else ""
            if client == "ours":
                met = use >= target and not early and not failed
                bench.tell(f"{baud} baud · {name}", text, f"≥ {target} %, 0 broken", met=met)
            else:
                bench.tell(f"{baud} baud · {name}", text)
