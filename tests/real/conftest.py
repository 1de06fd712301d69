"""The real engine, once for all tests."""

from collections.abc import Iterator
from itertools import count

import pytest

from server.store.influx import InfluxStore
from tests.real.influxd import Influxd, influxd

_numbers = count(1)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    with influxd(tmp_path_factory.mktemp("influxd")) as it:
        yield it


@pytest.fixture
def store(engine: Influxd) -> Iterator[InfluxStore]:
    database = f"suite{next(_numbers)}"
    engine.create(database)
    it = InfluxStore(f"{engine.url.replace('http', 'influxdb')}/{database}?org=compound", "")
    yield it
    it.close()
