"""python -m tests.bench.outbox.month FOLDER PORT DAYS: a long backlog goes out beside live data.

100 devices of 5 fields at 1 min have waited for DAYS days; while they are replayed at the pace
that is the default, a round of one more device comes every second.  The push runs as in the agent.
"""

import json
import sys
import threading
import time
import urllib.request
from pathlib import Path

from contract.clock import SystemClock
from contract.line import encode_columns, template
from contract.reading import PointId
from edge.outbox import Bounds, Outbox, Terms
from edge.push import Pusher
from tests.bench.outbox.backlog import config, fill
from tests.bench.outbox.measured import Stopwatch, peak_rss_mib, say
from tests.bench.outbox.rounds import Site

DEVICES, FIELDS, MINUTES_A_DAY = 100, 5, 1440
LIVE_INTERVAL_S = 1.0


def main(folder: Path, port: int, days: float) -> None:
    bounds = Bounds(10**10, 10**15)
    box = Outbox(folder / "o.db", bounds, Terms(commit_interval_s=3600))
    site = Site(DEVICES, FIELDS)
    rounds = int(days * MINUTES_A_DAY)
    fill(box, site, rounds, 60_000)
    size = box.waiting()[1]
    box.close()
    del box
    box = Outbox(folder / "o.db", bounds)
    whole = config(folder, port)
    to = whole.push.model_copy(update={"bucket": "live"})
    pusher = Pusher(whole, box, SystemClock(), to)
    put_at: dict[int, float] = {}
    is_over = threading.Event()
    form = template([PointId("bench", "live", "power_kw")])

    def poll() -> None:
        while not is_over.wait(LIVE_INTERVAL_S):
            slot_ms = SystemClock().now_ms()
            put_at[slot_ms] = time.monotonic()
            box.put("live", slot_ms, encode_columns([(form, [1.5], {}, 0.0)], slot_ms), 1)

    poller = threading.Thread(target=poll)
    poller.start()
    watch, readings = Stopwatch(), 0
    while readings < rounds * site.readings:
        pushed = pusher.push()
        readings += pushed.readings
        time.sleep(pushed.wait_s)
    wall_s, cpu_s = watch.wall_s(), watch.cpu_s()
    is_over.set()
    poller.join()
    box.commit()
    while pusher.push().readings:
        pass
    box.close()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        arrived = {int(k): v for k, v in json.loads(answer.read()).items()}
    late = sorted(arrived[slot] - at for slot, at in put_at.items())
    say(lines=rounds * DEVICES, bytes=size, wall_s=wall_s, cpu_s=cpu_s, rss_mib=peak_rss_mib(),
        live=len(late), late_median_s=late[len(late) // 2], late_max_s=late[-1],
        tick_s=whole.push.interval_s)  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
