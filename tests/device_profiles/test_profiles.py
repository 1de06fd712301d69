"""Every profile proves itself: it loads, its examples decode, a server serves it, we read it."""

import asyncio
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from contract.clock import SystemClock
from contract.errors import ConfigError
from contract.measurand import MEASURANDS
from edge.decode import Source, auxiliary, decode
from edge.drivers.modbus import ModbusDriver, rtu_link, rtu_over_tcp_link, tcp_link
from edge.plan import RawBlock, ReadBlock, plan
from edge.profile import DeviceProfile, Protocol, all_profiles, find_profile, load_profile
from edge.profile.index import index_text, schema_text
from simulators.devices import Device
from simulators.modbus_server import Served, serve_serial, serve_tcp
from simulators.pty_line import PtyLine

FOLDER = Path(__file__).parents[2] / "device_profiles"
PROFILES = {p.ref: p for p in all_profiles()}
MODBUS = [r for r, p in PROFILES.items() if p.protocol is Protocol.MODBUS]


@pytest.mark.parametrize("ref", MODBUS)
def test_examples_decode_to_their_readings(ref: str) -> None:
    profile = PROFILES[ref]
    assert profile.examples
    for example in profile.examples:
        points = tuple(profile.point(name) for name in example.readings)
        block = ReadBlock(example.function, example.address, len(example.words), points)
        aux = {k: Fraction(str(v)) for k, v in example.auxiliary.items()}
        for reading in decode(RawBlock(block, example.words), Source("s", "d"), 0, 0.0, aux):
            expected = example.readings[reading.point.measurand]
            if expected is None:
                assert reading.value is None, example.source
            else:
                assert reading.value == pytest.approx(expected, rel=1e-6), example.source


@pytest.mark.parametrize("ref", sorted(PROFILES))
def test_the_plan_keeps_the_devices_limits(ref: str) -> None:
    profile = PROFILES[ref]
    for block in plan(profile.with_auxiliary(profile.points), profile.limits):
        assert block.count <= profile.limits.max_registers
        if profile.limits.even and not block.points[0].node:
            assert block.address % 2 == block.count % 2 == 0


def shown(profile: DeviceProfile) -> dict[str, float]:
    """Give each point a value of its own that its coding can hold exactly."""
    out = {}
    for i, point in enumerate(profile.points, 1):
        m = MEASURANDS[point.measurand]
        out[point.measurand] = float(max(m.low, min(m.high, 0.5 if m.high <= 1 else 2.0 * i)))
    out.update({k: 50.0 for k in out if k == "frequency_hz"})
    return out


async def read_all(profile: DeviceProfile, driver: ModbusDriver, unit: int) -> dict[str, float]:
    source, points = Source("s", "d"), profile.with_auxiliary(profile.points)
    raws = [await driver.read(unit, block) for block in plan(points, profile.limits)]
    aux = {name: value for raw in raws for name, value in auxiliary(raw, source).items()}
    assert set(aux) == {a.measurand for a in profile.auxiliary}
    got = {}
    for raw in raws:
        for reading in decode(raw, source, 0, 0.0, aux):
            assert reading.value is not None, reading
            got[reading.point.measurand] = reading.value
    await driver.close()
    return got


def served(ref: str, unit: int) -> Served:
    """Give a device of a profile whose ratio registers say something."""
    values = shown(PROFILES[ref])
    says = {"ct": 20.0, "pt": 2.0, "totalizer_exponent": -1.0}
    names = {a.measurand for a in PROFILES[ref].auxiliary}
    own = {k: v for k, v in says.items() if k in names}
    return Served(unit, Device("d", ref, lambda _: values, auxiliary=own))


@pytest.mark.parametrize("rtu", [False, True])
@pytest.mark.parametrize("ref", MODBUS)
def test_the_real_driver_reads_back_what_the_simulator_shows(ref: str, rtu: bool) -> None:
    profile, values = PROFILES[ref], shown(PROFILES[ref])

    async def run() -> dict[str, float]:
        server, port = await serve_tcp([served(ref, 3)], SystemClock(), rtu=rtu)
        make = rtu_over_tcp_link if rtu else tcp_link
        try:
            return await read_all(profile, ModbusDriver(make("127.0.0.1", port, 1.0)), 3)
        finally:
            await server.shutdown()

    assert asyncio.run(run()) == pytest.approx(values, rel=1e-6)


def test_a_meter_is_read_over_a_serial_line() -> None:
    ref = "chint/dtsu666"
    values = shown(PROFILES[ref])

    async def run() -> dict[str, float]:
        with PtyLine(19_200) as line:
            line_of_one = [served(ref, 5)]
            server = await serve_serial(line_of_one, SystemClock(), line.device_end, 19_200)
            driver = ModbusDriver(rtu_link(line.master_end, 19_200, "N", 1, 1.0))
            try:
                return await read_all(PROFILES[ref], driver, 5)
            finally:
                await server.shutdown()

    assert asyncio.run(run()) == pytest.approx(values, rel=1e-6)


def test_the_generated_pages_are_current() -> None:
    assert (FOLDER / "index.md").read_text("utf-8") == index_text(all_profiles())
    assert (FOLDER / "profile.schema.json").read_text("utf-8") == schema_text()


def test_a_wrong_profile_tells_every_error(tmp_path: Path) -> None:
    text = yaml.safe_load((FOLDER / "eastron/sdm630.yaml").read_text("utf-8"))
    text["points"][0]["unit"] = "kWh"
    text["points"][1]["measurand"] = "volts"
    text["limits"]["max_registers"] = 500
    text["colour"] = "grey"
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(text), "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    keys = {p.key for p in caught.value.problems}
    assert {"points.0", "points.1.measurand", "limits.max_registers", "colour"} <= keys


def test_overlapping_registers_are_refused(tmp_path: Path) -> None:
    text = yaml.safe_load((FOLDER / "eastron/sdm630.yaml").read_text("utf-8"))
    text["points"][1]["address"] = text["points"][0]["address"]
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(text), "utf-8")
    with pytest.raises(ConfigError, match="do not overlap"):
        load_profile(path)


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="eastron/sdm630"):
        find_profile("nobody/nothing")


def wrong(tmp_path: Path, ref: str, **changes: object) -> str:
    """Give everything that is said about a shipped profile with changed keys (`points.0.type`)."""
    text = yaml.safe_load((FOLDER / f"{ref}.yaml").read_text("utf-8"))
    for dotted, value in changes.items():
        *folders, key = (int(k) if k.isdigit() else k for k in dotted.split("__"))
        place = text
        for folder in folders:
            place = place[folder]
        place[key] = value
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(text), "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"points__1__exponent": "nothing"}, "one of auxiliary"),
        ({"points__0__scale": 0}, "above 0"),
        ({"points__0__scale": "a lot"}, "a number or a fraction"),
        ({"points__0__half": "hi"}, "half only with u8"),
        ({"points__0__mask": 3}, "mask only with an unsigned type"),
        ({"points__3__mask": 0x1_0000}, "a mask that fits u16"),
        ({"points__0__wrap": 100}, "wrap only on a counter"),
        ({"points__0__ct": "totalizer_unit"}, "basis: secondary"),
        ({"points__1__type": "u32"}, "either type or parts"),
        ({"auxiliary__0__name": "flow_m3_per_h"}, "no measurand"),
        ({"auxiliary__0__name": "unheard_of"}, "scaled by"),
        ({"points__2__address": 9}, "do not overlap"),
        ({"points__0__parts": [{"at": 0, "type": "u16", "role": "sign"}]}, "either type or parts"),
        ({"points__1__parts": [{"at": 0, "type": "u16", "role": "sign"}]}, "holds the number"),
        ({"points__3__address": 0xFFFF, "points__3__type": "u32"}, "by 0xFFFF"),
    ],
)
def test_a_coding_that_cannot_be_is_refused(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    assert said in wrong(tmp_path, "generic/tuf-2000m", **changes)


def test_two_values_may_share_a_word_bit_by_bit(tmp_path: Path) -> None:
    text = yaml.safe_load((FOLDER / "generic/xy-md02.yaml").read_text("utf-8"))
    text["points"] = [
        {"measurand": "temperature_c", "function": 3, "address": 7, "type": "s8", "half": "hi",
         "unit": "degC"},
        {"measurand": "humidity_percent", "function": 3, "address": 7, "type": "u8", "half": "lo",
         "unit": "%"},
    ]  # fmt: skip
    text["examples"] = []
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(text), "utf-8")
    profile = load_profile(path)
    (block,) = plan(profile.points, profile.limits)
    readings = decode(RawBlock(block, (0xFB37,)), Source("s", "d"), 0)
    assert [r.value for r in readings] == [-5.0, 55.0]
    assert "do not overlap" in wrong(
        tmp_path, "generic/xy-md02", points=[{**p, "half": "hi"} for p in text["points"]]
    )
