"""What agents say of themselves, their buses and devices is kept, and disturbs no meter."""

from pathlib import Path

from contract.line import encode
from contract.measurand import MEASURANDS, Kind, Medium
from contract.reading import PointId, Reading, Reason
from simulators.layout import SITE
from tests.server.running import FixedClock, running_server

NOW = 1_767_225_600_000
PAGES = ["/", "/meters", "/alerts", "/report"]
OF_DEVICES = ("device_breaker_state", "device_last_good_age_s", "device_lost_s")
OF_AGENTS = [m for m in MEASURANDS.values() if m.medium is Medium.AGENT]


def test_points_of_agents_buses_and_devices_are_kept_beside_the_meters(tmp_path: Path) -> None:
    with running_server(tmp_path, FixedClock(NOW)) as server:
        meter = server.http.get("/api/v1/meters").json()[0]["id"]
        counter = PointId(SITE, meter, "energy_import_kwh")
        own = [Reading(PointId(SITE, meter, name), NOW, 2.0, lag_s=0.4) for name in OF_DEVICES]
        others = [
            Reading(PointId(SITE, device, m.name), NOW, 2.0)
            for device in ("a1", "a1.bus1", "nobody-knows-me")
            for m in OF_AGENTS
        ]
        assert server.write("\n".join(encode([Reading(counter, NOW, 991.5, lag_s=0.4)]))).is_success
        answer = server.write("\n".join(encode([*own, *others])))
        assert answer.status_code == 204, answer.text

        def values(device: str, measurand: str) -> list[float]:
            query: dict[str, str | int] = {
                "device": device, "measurand": measurand, "from": NOW - 1, "to": NOW + 1,
            }  # fmt: skip
            found: list[float] = server.http.get("/api/v1/readings", params=query).json()["values"]
            return found

        for name in OF_DEVICES:
            assert values(meter, name) == [2.0]
        assert values("a1.bus1", "bus_utilisation_percent") == [2.0]
        assert values(meter, "energy_import_kwh") == [991.5]
        assert values(meter, "lag_s") == [0.4]
        row = next(m for m in server.http.get("/api/v1/meters").json() if m["id"] == meter)
        assert (row["value"], row["quality"]) == (991.5, "good")
        assert {server.http.get(page).status_code for page in PAGES} == {200}
        assert len(server.works.store.read_last(SITE)) == 4 + 3 * len(OF_AGENTS)


def test_a_device_not_heard_of_for_health_is_no_bad_reading_of_its_meter(tmp_path: Path) -> None:
    with running_server(tmp_path, FixedClock(NOW)) as server:
        meter = server.http.get("/api/v1/meters").json()[0]["id"]
        point = PointId(SITE, meter, "energy_import_kwh")
        lines = encode([Reading(point, NOW, None, Reason.SUSPENDED)])
        assert server.write("\n".join(lines)).is_success
        row = next(m for m in server.http.get("/api/v1/meters").json() if m["id"] == meter)
        assert (row["value"], row["quality"]) == (None, "suspended")


def test_measurands_of_agents_say_their_unit_and_kind() -> None:
    endings = {"s": "_s", "ms": "_ms", "%": "_percent", "B": "_bytes"}
    for m in OF_AGENTS:
        assert m.name.removesuffix("_total").endswith(endings.get(m.unit, "")), m.name
        if m.name.endswith("_total"):
            assert m.kind is Kind.COUNTER
