"""What a rollup is called where others read it: measurement, tags, field.

Meters and places have measurements of their own, so that a sum over one never counts twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from server.periods import Step
from server.rollup.places import place_of
from server.site.model import Carrier, Site

VALUE_FIELD = {Carrier.ELECTRICITY: "energy_kwh", Carrier.WATER: "volume_m3"}


@dataclass(frozen=True, slots=True)
class Named:
    """A rollup's measurement for a step, its tags, and the field of its value."""

    stem: str
    tags: Mapping[str, str]
    field: str

    def measurement(self, step: Step) -> str:
        """Give the measurement's name."""
        return f"{self.stem}_{step}"


def named(site: Site, key: str) -> Named:
    """Give the name of a meter's or a place's rollup; KeyError for an unknown one."""
    place = place_of(key)
    if place is not None:
        where, carrier = place
        return Named(f"{carrier}_place", _place_tags(site, where), VALUE_FIELD[carrier])
    meter = site.meter(key)
    tags = {
        "building": _building_name(site, meter.building), "end_use": meter.end_use,
        "kind": meter.kind.value, "meter": meter.id, "role": meter.role.value, "site": site.id,
    }  # fmt: skip
    if meter.area is not None:
        tags["area"] = next(a.name for a in site.areas if a.id == meter.area)
    return Named(meter.carrier.value, tags, VALUE_FIELD[meter.carrier])


def _building_name(site: Site, building: str) -> str:
    return site.name if building == site.id else site.building(building).name


def _place_tags(site: Site, where: str) -> dict[str, str]:
    if where == site.id:
        return {"building": site.name, "place": site.id, "site": site.id}
    for area in site.areas:
        if area.id == where:
            building = site.building(area.building).name
            return {
                "area": area.name, "building": building, "place": area.id, "site": site.id,
            }  # fmt: skip
    return {"building": site.building(where).name, "place": where, "site": site.id}
