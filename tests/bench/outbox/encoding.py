"""python -m tests.bench.outbox.encoding FIELDS: our lines beside influxdb-client's Points."""

import sys
import time

from influxdb_client import Point, WritePrecision

from contract.line import encode_columns
from tests.bench.outbox.measured import say
from tests.bench.outbox.rounds import T0_MS, Site

METERS, ROUNDS = 50, 60


def main(fields: int) -> None:
    site = Site(METERS, fields)
    rounds = [[list(row) for row in site.values()] for _ in range(ROUNDS)]
    began_s = time.process_time()
    for n, values in enumerate(rounds):
        rows = zip(site.forms, values, strict=True)
        ours = encode_columns(((form, row, {}, 0.125) for form, row in rows), T0_MS + n)
    ours_s = time.process_time() - began_s
    began_s = time.process_time()
    for n, values in enumerate(rounds):
        theirs = []
        for m, row in enumerate(values):
            point = Point("electricity").tag("device", f"E{m:03}").tag("site", "bench")
            for name, value in zip(site.names, row, strict=True):
                point.field(name, value)
            point.field("lag_s", 0.125)
            theirs.append(point.time(T0_MS + n, WritePrecision.MS).to_line_protocol())
    theirs_s = time.process_time() - began_s
    assert len(ours) == len(theirs) == METERS
    count = METERS * fields * ROUNDS
    say(ours_us=1e6 * ours_s / count, theirs_us=1e6 * theirs_s / count)


if __name__ == "__main__":
    main(int(sys.argv[1]))
