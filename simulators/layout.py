"""The compound as built: places, meters, gates, and which device stands behind each.

Floor areas, people and rated loads are invented, sized so that the year comes out at what Hunan
county offices use (30 to 60 kWh/m², 15 to 30 m³ a person).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

SITE = "hengnan"
SITE_NAME = "衡南县四大家机关大院"
ORGANIZATION = "衡南县机关事务和接待中心"
SDM630, SDM120 = "eastron/sdm630", "eastron/sdm120"
DTSU666, ADL400, WATER = "chint/dtsu666", "acrel/adl400", "xintai/lxs-modbus"
COUNTER_STEP = {SDM630: 0.01, SDM120: 0.01, DTSU666: 0.01, ADL400: 0.1, WATER: 0.001}


@dataclass(frozen=True, slots=True)
class Place:
    """A building; `gate` is its gate's device id."""

    id: str
    name: str
    area_m2: float
    people: int
    gate: str = ""


@dataclass(frozen=True, slots=True)
class SimMeter:
    """A meter: what it is in the site, what drives it, and the device that shows it.

    load:  the kind of load (see loads.py); `sum` for mains
    rated: kW or m³/h at full load
    """

    id: str
    name: str
    carrier: str
    building: str
    end_use: str
    role: str
    load: str
    rated: float
    profile: str
    parent: str = ""
    tags: tuple[str, ...] = ()
    ct_ratio: int = 1
    initial: float = 0.0
    measurand: str = field(default="energy_import_kwh")

    @property
    def native_step(self) -> float:
        """Give the smallest step the device's counter makes, on the primary side."""
        return COUNTER_STEP[self.profile] * (self.ct_ratio if self.profile == DTSU666 else 1)


PLACES = (
    Place("xianwei", "县委楼", 9200, 260, "G01"),
    Place("zhengfu", "政府楼", 11800, 340, "G02"),
    Place("renda", "人大楼", 5200, 130),
    Place("zhengxie", "政协楼", 4800, 120),
    Place("huiyi", "会议中心", 4600, 20),
    Place("shitang", "食堂", 2400, 40),
    Place("yard", "大院公共区", 900, 15),
)
THERMOMETER = "T01"
_AC_CIRCUITS = {"xianwei": 3, "zhengfu": 4, "renda": 2, "zhengxie": 2, "huiyi": 2, "shitang": 1}
_LIFTS = ("xianwei", "zhengfu", "renda", "huiyi")
_YARD = (
    ("水泵房", "01C20", "pump", 5.5, ()),
    ("东路庭院灯", "01A30", "outdoor", 6.0, ("lighting", "outdoor")),
    ("西路庭院灯", "01A30", "outdoor", 5.0, ("lighting", "outdoor")),
    ("绿化灌溉泵", "01C20", "irrigation", 4.0, ("irrigation",)),
    ("门卫值班室", "01D60", "guard", 1.2, ("guard",)),
)


def _circuits(place: Place) -> Iterator[tuple[str, str, str, float, tuple[str, ...]]]:
    """Give (name, end use, load, rated kW, tags) of a building's sub meters."""
    if place.id == "yard":
        yield from _YARD
        return
    yield "插座", "01A10", "sockets", place.area_m2 * 0.008, ()
    yield "走廊照明", "01A20", "corridor", place.area_m2 * 0.0016, ("lighting",)
    circuits = _AC_CIRCUITS[place.id]
    for i in range(circuits):
        kind = {"huiyi": "ac_meeting", "shitang": "ac_meals"}.get(place.id, "ac")
        yield f"空调{i + 1}路", "01B00", kind, place.area_m2 * 0.03 / circuits, ()
    if place.id in _LIFTS:
        yield "电梯", "01C10", "lift", 7.5, ()
    if place.id == "zhengfu":
        yield "信息机房", "01D10", "server_room", 16.0, ("server-room",)
    if place.id == "shitang":
        yield "厨房动力", "01D30", "kitchen", 38.0, ("kitchen",)
        yield "蒸饭与消毒", "01D30", "kitchen", 24.0, ("kitchen",)


def _profile_of(index: int, load: str) -> tuple[str, int]:
    if load in {"outdoor", "irrigation", "guard"}:
        return SDM120, 1
    return ((SDM630, 1), (ADL400, 1), (DTSU666, 20), (SDM630, 1), (DTSU666, 40))[index % 5]


@cache
def meters() -> tuple[SimMeter, ...]:
    """Give all meters, mains before the subs below them."""
    out = [_electric("E00", "大院总表", SITE, "01000", "main", "sum", 0.0, ADL400, 1, "")]
    number = 1
    for place in PLACES:
        main = f"E{number:02d}"
        name = f"{place.name}总表"
        out.append(_electric(main, name, place.id, "01000", "main", "sum", 0.0, SDM630, 1, "E00"))
        number += 1
        for circuit, end_use, load, rated, tags in _circuits(place):
            profile, ct = _profile_of(number, load)
            name = f"{place.name}{circuit}" if place.id != "yard" else circuit
            meter = f"E{number:02d}"
            out.append(
                _electric(
                    meter, name, place.id, end_use, "sub", load, rated, profile, ct, main, tags
                )
            )
            number += 1
    return (*out, *_water())


def _electric(
    meter: str,
    name: str,
    building: str,
    end_use: str,
    role: str,
    load: str,
    rated: float,
    profile: str,
    ct: int,
    parent: str,
    tags: tuple[str, ...] = (),
) -> SimMeter:
    initial = 1000.0 + 137.0 * int(meter[1:])
    return SimMeter(
        meter, name, "electricity", building, end_use, role, load, rated, profile,
        parent, tags, ct, initial,
    )  # fmt: skip


def _water() -> Iterator[SimMeter]:
    rows: list[tuple[str, str, str, str, str, float, str, tuple[str, ...]]] = [
        ("W00", "大院总水表", SITE, "main", "sum", 0.0, "", ())
    ]
    for i, place in enumerate(PLACES[:-1], 1):
        load = {"shitang": "water_canteen", "huiyi": "water_meeting"}.get(place.id, "water_office")
        rated = place.people * 0.0075 if load == "water_office" else 2.4
        rows.append((f"W{i:02d}", f"{place.name}水表", place.id, "main", load, rated, "W00", ()))
    rows.append(
        ("W07", "绿化灌溉水表", "yard", "sub", "water_irrigation", 6.0, "W00", ("irrigation",))
    )
    rows.append(("W08", "门卫公厕水表", "yard", "sub", "water_guard", 0.4, "W00", ()))
    for meter, name, building, role, load, rated, parent, tags in rows:
        yield SimMeter(
            meter, name, "water", building, "02000", role, load, rated, WATER, parent, tags,
            1, 200.0 + 31.0 * int(meter[1:]), "volume_m3",
        )  # fmt: skip
