"""What every test relies on."""

import signal

from hypothesis import HealthCheck, settings

# how long an example takes is the machine's affair; the seed of a failure is printed
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


def pytest_sessionstart() -> None:
    """Let Ctrl-C reach the processes that tests start, also where the tests run in the background.

    A shell starts background jobs with SIGINT ignored, and what is ignored is inherited.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
