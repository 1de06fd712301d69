"""A proxy between an agent and its store that can be made to behave badly."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable

Talk = Callable[["FaultProxy", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GONE = (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError)


class FaultProxy:
    """Passes requests on to a store on loopback; `talk` is what it does instead, while set."""

    def __init__(self, store_port: int, context: ssl.SSLContext | None = None) -> None:
        self.talk: Talk | None = None
        self.bitten = 0  # connections that met the fault
        self._store_port, self._context = store_port, context
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def listen(self, context: ssl.SSLContext | None = None, *, plain: bool = False) -> None:
        """Accept connections, always on the same port; with another certificate, or with none."""
        chosen = None if plain else context or self._context
        self._server = await asyncio.start_server(
            self._met, "127.0.0.1", self.port, ssl=chosen, ssl_handshake_timeout=None
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Refuse connections, and break those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.hang_up()

    def hang_up(self) -> None:
        """Break the connections there are."""
        for writer in self._writers:
            writer.transport.abort()

    async def ask_store(self, request: bytes) -> bytes:
        """Pass a request on; give the answer, which has no body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._store_port)
        try:
            writer.write(request)
            return await reader.readuntil(b"\r\n\r\n")
        finally:
            writer.close()

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while self.talk is None:
                request = await request_of(reader)
                if self.talk is not None:
                    break  # it came over a connection from before: nobody answers
                writer.write(await self.ask_store(request))
            else:
                self.bitten += 1
                await self.talk(self, reader, writer)
                await writer.drain()
                writer.close()
                return
            self.bitten += 1
            await asyncio.Event().wait()
        except (*GONE, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._writers.discard(writer)


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """Read one request as it is."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return head + await reader.readexactly(int(value))
    return head


def reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection by RST."""
    plug: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
