"""What every test relies on."""

import signal


def pytest_sessionstart() -> None:
    """Let Ctrl-C reach the processes that tests start, also where the tests run in the background.

    A shell starts background jobs with SIGINT ignored, and what is ignored is inherited.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
