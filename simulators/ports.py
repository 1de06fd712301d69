"""Free loopback ports."""

import socket


def free_port() -> int:
    """Give a loopback TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
