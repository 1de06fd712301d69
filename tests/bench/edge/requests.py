"""Requests of a poll: what each shipped profile asks for, beside the fewest there can be."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from edge.profile import DeviceProfile, PointSpec, Protocol, all_profiles
from tests.bench.edge.bench import Bench
from tests.bench.edge.meters import write_agent, write_image
from tests.bench.edge.slaves import tcp_slave

ROUNDS = 3


def fewest(profile: DeviceProfile) -> int:
    """Give the least number of requests, over every way to cut the ordered points into runs.

    The rule itself, and none of the planner's code: a run lies in one function's registers, spans
    at most `max_registers`, crosses no stop, and never skips more than `max_gap` registers in a
    row.  Registers that only scale others are read like any.
    """
    wanted = profile.with_auxiliary(profile.points)
    points = sorted(wanted, key=lambda p: (p.function, p.address))
    best = [0]
    for end in range(1, len(points) + 1):
        fits = partial(_is_one_request, points, end, profile)
        best.append(1 + min(best[start] for start in range(end) if fits(start)))
    return best[-1]


def _is_one_request(
    points: Sequence[PointSpec], end: int, profile: DeviceProfile, start: int
) -> bool:
    run = points[start:end]
    if len({p.function for p in run}) > 1:
        return False
    wanted = {a for p in run for a in range(p.address, p.end)}
    first, last = min(wanted), max(wanted)
    longest = gap = 0
    for address in range(first, last + 1):
        gap = 0 if address in wanted else gap + 1
        longest = max(longest, gap)
    limits = profile.limits
    if any(first < stop <= last for stop in limits.stops):
        return False
    return last + 1 - first <= limits.max_registers and longest <= limits.max_gap


def requests_of_a_poll(bench: Bench) -> None:
    """Count at a slave of each profile's own; the first round may ask for more than the others."""
    image = write_image(bench.folder / "image")
    profiles = [p for p in all_profiles() if p.protocol is Protocol.MODBUS]
    task = bench.progress.add_task(f"requests of a poll, {len(profiles)} profiles", total=2)
    with ExitStack() as stack:
        slaves = [stack.enter_context(tcp_slave(bench.folder, 0.0, image)) for _ in profiles]
        agent = write_agent(
            bench.folder / "requests.yaml",
            [
                {"id": f"c{i}", "driver": "modbus-tcp", "host": "127.0.0.1", "port": s.port}
                for i, s in enumerate(slaves)
            ],
            [
                {"id": f"M{i}", "connection": f"c{i}", "profile": p.ref}
                for i, p in enumerate(profiles)
            ],
            60.0,
        )
        bench.work("poll", agent=str(agent), rounds=1)
        bench.progress.advance(task)
        once = [s.counts().requests for s in slaves]
        bench.work("poll", agent=str(agent), rounds=1 + ROUNDS)
        bench.progress.advance(task)
        asked = [(s.counts().requests - 2 * n) / ROUNDS for s, n in zip(slaves, once, strict=True)]
    least = [fewest(p) for p in profiles]
    ratios = [a / n for a, n in zip(asked, least, strict=True)]
    more = [f"{p.ref} {a:g}/{n}" for p, a, n in zip(profiles, asked, least, strict=True) if a != n]
    text = f"{sum(asked):g} asked, {sum(least)} fewest · worst {max(ratios):.2f} ×"
    text += f" · {', '.join(more)}" if more else ""
    figure = f"requests of a poll, {len(profiles)} shipped profiles"
    bench.tell(figure, text, "≤ 1.1 × each", met=max(ratios) <= 1.1)
