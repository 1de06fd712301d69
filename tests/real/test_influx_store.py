"""The Store's behaviour suite on a real InfluxQL engine (influxd 1.6.7 behind our door)."""

import pytest

from tests.behaviour.store_suite import StoreSuite


@pytest.mark.real
class TestInfluxStore(StoreSuite):
    """The behaviour suite on influxd."""
