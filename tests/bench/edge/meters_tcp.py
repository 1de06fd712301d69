"""Modbus TCP: how near many meters come to their own limit, and what a read costs."""

from functools import partial
from statistics import median

from tests.bench.edge.bench import Bench, median_of, side_by_side, spread
from tests.bench.edge.meters import FLOATS_20, FLOATS_36, lay_profile, tcp_agent, write_image
from tests.bench.edge.slaves import tcp_slave

METERS, DELAY_S, LIMIT_TIMES = 200, 0.020, 3
BUSY, COST_TIMES = 50, 5
LIMIT_S, COST_S = 2.0, 1.3


def device_limit(bench: Bench) -> None:
    """200 meters that answer after 20 ms: 10,000 reads a second is all they can give."""
    ref = lay_profile(bench.folder, "m40", FLOATS_20)
    image = write_image(bench.folder / "image")
    with tcp_slave(bench.folder, DELAY_S, image) as slave:
        ask = partial(bench.work, "tcp", port=slave.port, count=METERS, seconds=LIMIT_S, ref=ref)
        agent = str(tcp_agent(bench.folder / "limit.yaml", slave.port, ref, METERS, 0.1))
        results = bench.in_turn(
            f"{METERS} meters × {DELAY_S * 1000:.0f} ms",
            {
                "driver": partial(ask, client="driver"),
                "poller": partial(bench.work, "poll", agent=agent, seconds=LIMIT_S),
                "pymodbus async": partial(ask, client="bare"),
            },
            LIMIT_TIMES,
        )
    for name, of in results.items():
        shares = [r["reads_per_s"] / (METERS / DELAY_S) * 100 for r in of]
        text = f"{spread(shares, '{:.1f}')} % · {median_of(of, 'cpu_share'):.0%} of a core"
        is_ours = name == "driver"
        met = median(shares) >= 95 if is_ours else None
        figure = f"{METERS} meters × 20 ms, of their limit · {name}"
        bench.tell(figure, text, "≥ 95 %" if is_ours else "", met=met)


def cost_of_a_read(bench: Bench) -> None:
    """50 meters that answer at once: what a read costs, up to its values, and up to its lines."""
    ref = lay_profile(bench.folder, "m40", FLOATS_20)
    wide = lay_profile(bench.folder, "m72", FLOATS_36)
    image = write_image(bench.folder / "image")
    with tcp_slave(bench.folder, 0.0, image) as slave:
        ask = partial(bench.work, "tcp", port=slave.port, count=BUSY, seconds=COST_S)
        agents = {
            name: str(tcp_agent(bench.folder / f"{name}.yaml", slave.port, of, BUSY, 0.1))
            for name, of in (("poll", ref), ("wide", wide))
        }
        jobs = {
            name: partial(bench.work, "poll", agent=agent, seconds=COST_S)
            for name, agent in agents.items()
        }
        jobs["lines"] = partial(
            bench.work, "poll", agent=agents["poll"], seconds=COST_S, lines=True
        )
        jobs["bare"] = partial(ask, client="bare", ref=ref)
        jobs["driver"] = partial(ask, client="driver", ref=ref)
        jobs["single"] = partial(ask, client="single", ref=wide)
        results = bench.in_turn("cost of a read", jobs, COST_TIMES)
    of_read = {n: spread([r["us_per_read"] for r in of], "{:.0f}") for n, of in results.items()}
    ratios = side_by_side(results, "us_per_read", "poll", "bare")
    to_lines = side_by_side(results, "us_per_read", "lines", "bare")
    gains = side_by_side(results, "us_per_value", "single", "wide")
    bench.tell("40 registers · pymodbus async, bare", f"{of_read['bare']} µs CPU")
    bench.tell("40 registers · driver alone", f"{of_read['driver']} µs CPU")
    bench.tell("40 registers · poller up to checked values", f"{of_read['poll']} µs CPU")
    bench.tell("40 registers · poller up to lines", f"{of_read['lines']} µs CPU")
    met = median(ratios) <= 1.3
    bench.tell("… poller beside pymodbus async, bare", f"{spread(ratios)} ×", "≤ 1.3 ×", met=met)
    bench.tell("… up to lines beside pymodbus async, bare", f"{spread(to_lines)} ×")
    text = f"{spread(gains, '{:.1f}')} × less CPU a value"
    met = median(gains) >= 20
    bench.tell("36 floats in one read · beside a read each", text, "≥ 20 ×", met=met)
    if failures := sum(r["failures"] for of in results.values() for r in of):
        bench.tell("… readings without a value meanwhile", f"{failures:,.0f}", "0", met=False)
