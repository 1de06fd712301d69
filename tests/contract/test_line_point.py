"""Our line protocol beside influxdb-client's: the same bytes, but for order and ".0"."""

import re

from hypothesis import given
from hypothesis import strategies as st
from influxdb_client import Point, WritePrecision

from contract.line import encode_columns, parse_line, template
from contract.measurand import MEASURANDS, Medium
from contract.reading import PointId, Reason

NAMES = sorted(n for n, m in MEASURANDS.items() if m.medium is Medium.ELECTRICITY)
TEXT = st.text(st.characters(exclude_characters="\n\r\t\0", exclude_categories=["Cs"]), min_size=1)
VALUES = st.floats(allow_nan=False, allow_infinity=False)


def canonical(line: str) -> str:
    """Give one of our lines as influxdb-client writes it: fields in order, no '.0'."""
    head, fields, time = re.fullmatch(r"(.*) (\S+) (\d+)", line).groups()  # type: ignore[union-attr] # ours
    sorted_fields = sorted(re.sub(r"\.0$", "", f) for f in fields.split(","))
    return f"{head} {','.join(sorted_fields)} {time}"


def by_client(device: str, site: str, fields: dict[str, float], time_ms: int) -> str:
    point = Point("electricity").tag("device", device).tag("site", site)
    for name, value in fields.items():
        point.field(name, value)
    return str(point.time(time_ms, WritePrecision.MS).to_line_protocol())


@given(
    device=TEXT.filter(lambda t: not t.endswith("\\")),
    site=TEXT.filter(lambda t: not t.endswith("\\")),
    fields=st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1),
    time_ms=st.integers(0, 7_000_000_000_000),
    lag_s=st.floats(0, 100),
)
def test_our_lines_are_the_bytes_of_an_independent_encoder(
    device: str, site: str, fields: dict[str, float], time_ms: int, lag_s: float
) -> None:
    form = template([PointId(site, device, name) for name in fields])
    (ours,) = encode_columns([(form, list(fields.values()), {}, lag_s)], time_ms)
    theirs = by_client(device, site, {**fields, "lag_s": lag_s}, time_ms)
    if "\\" in device + site:  # it does not escape a backslash; what it says is read as we read it
        assert parse_line(theirs).fields == parse_line(ours).fields
    else:
        assert canonical(ours) == canonical(theirs)
        assert parse_line(ours) == parse_line(theirs)


def test_a_doubtful_value_is_a_field_of_its_own_for_the_independent_encoder_too() -> None:
    form = template([PointId("s", "E 1", n) for n in ("power_kw", "current_l1_a")])
    doubts = {0: Reason.CROSS_CHECK, 1: Reason.TIMEOUT}
    (ours,) = encode_columns([(form, [1.5, 0.0], doubts, 0.25)], 1000)
    fields = {"power_kw": 1.5, "power_kw_q": 2.0, "current_l1_a_q": 50.0, "lag_s": 0.25}
    assert canonical(ours) == canonical(by_client("E 1", "s", fields, 1000))
