"""A deadline for whole answers: time-outs of single reads never end one that comes byte by byte."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class Deadline:
    """Breaks the one connection of a pool manager when a request takes too long as a whole."""

    def __init__(self, pool: urllib3.PoolManager, seconds: float) -> None:
        self._seconds = seconds
        self._socket: socket.socket | None = None
        note = self._connected

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                note(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                note(self.sock)

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secure

        pool.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Let what is inside last no longer: its connection is then broken under it."""
        timer = threading.Timer(self._seconds, self._break)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _connected(self, made: socket.socket | None) -> None:
        self._socket = made

    def _break(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # it has gone by itself
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
