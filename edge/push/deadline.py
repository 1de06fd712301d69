"""A deadline for whole answers: time-outs of single reads never end one that comes byte by byte."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

_WAITS = 3  # to connect, to send, to be answered: each may take the time-out


class Deadline:
    """Breaks the one connection of a pool manager when a request takes three time-outs in all."""

    def __init__(self, pool: urllib3.PoolManager, timeout_s: float) -> None:
        self._seconds = _WAITS * timeout_s
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
        """Let what is inside last no longer; urllib3's TimeoutError when its connection was broken.

        What had come until then counts for nothing: a header may be cut in its midst.
        """
        is_over = threading.Event()
        timer = threading.Timer(self._seconds, self._break, [is_over])
        timer.daemon = True
        timer.start()
        try:
            yield
        except urllib3.exceptions.HTTPError:
            if not is_over.is_set():
                raise
        finally:
            timer.cancel()
        if is_over.is_set():
            raise urllib3.exceptions.TimeoutError(f"not whole within {self._seconds:g} s")

    def _connected(self, made: socket.socket | None) -> None:
        self._socket = made

    def _break(self, is_over: threading.Event) -> None:
        is_over.set()
        if self._socket is not None:
            with suppress(OSError):  # it has gone by itself
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
