"""What a network, a proxy or a store may do wrong once a connection stands."""

import asyncio
from email.utils import formatdate

from contract.clock import SystemClock
from tests.faults.proxy import FaultProxy, Talk, request_of, reset

_Reader = asyncio.StreamReader
_Writer = asyncio.StreamWriter
BYTE_S = 0.1  # between two bytes of a drip
MOST_BYTES = 240  # less than one parcel with its receipt: it has to go in parts
_HTML = b"<html><body>please log in</body></html>"
_RETRY_S = 1


def says(status: str, *headers: str, body: bytes = b"") -> Talk:
    """Answer each request so, without passing it on."""
    head = "\r\n".join((f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""))

    async def talk(proxy: FaultProxy, reader: _Reader, writer: _Writer) -> None:
        while True:
            await request_of(reader)
            writer.write(head.encode() + body)

    return talk


def stored_but(answer: bytes, *, silent: bool = False) -> Talk:
    """Pass the request on, and answer something else, or nothing."""

    async def talk(proxy: FaultProxy, reader: _Reader, writer: _Writer) -> None:
        await proxy.ask_store(await request_of(reader))
        writer.write(answer)
        if silent:
            await asyncio.Event().wait()

    return talk


async def black_hole(proxy: FaultProxy, reader: _Reader, writer: _Writer) -> None:
    """Take everything, answer nothing."""
    while await reader.read(65_536):
        pass


async def dripping(proxy: FaultProxy, reader: _Reader, writer: _Writer) -> None:
    """Answer byte by byte, without end."""
    await request_of(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(BYTE_S)


async def continuing(proxy: FaultProxy, reader: _Reader, writer: _Writer) -> None:
    """Say 100 Continue again and again."""
    await request_of(reader)
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(BYTE_S)


async def resetting(proxy: FaultProxy, reader: _Reader, writer: _Writer) -> None:
    """Break the connection when the request is there."""
    await request_of(reader)
    reset(writer)


async def closing_within_the_body(proxy: FaultProxy, reader: _Reader, writer: _Writer) -> None:
    """Break the connection when the request is half there."""
    await reader.readuntil(b"\r\n\r\n")
    await reader.read(50)
    reset(writer)


async def too_large(proxy: FaultProxy, reader: _Reader, writer: _Writer) -> None:
    """Take small bodies only."""
    while True:
        request = await request_of(reader)
        if len(request.partition(b"\r\n\r\n")[2]) > MOST_BYTES:
            proxy.bitten += 1
            writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(await proxy.ask_store(request))


async def damaging(proxy: FaultProxy, reader: _Reader, writer: _Writer) -> None:
    """Turn a bit of each body over on its way."""
    while True:
        request = bytearray(await request_of(reader))
        request[-30] ^= 4
        writer.write(await proxy.ask_store(bytes(request)))


async def busy_until(proxy: FaultProxy, reader: _Reader, writer: _Writer) -> None:
    """Answer 503 with Retry-After as a date."""
    while True:
        await request_of(reader)
        now_s = SystemClock().now_ms() // 1000
        at, until = (formatdate(s, usegmt=True) for s in (now_s, now_s + _RETRY_S))
        head = (
            f"HTTP/1.1 503 Busy\r\nDate: {at}\r\nRetry-After: {until}\r\nContent-Length: 0\r\n\r\n"
        )
        writer.write(head.encode())


async def flooding(proxy: FaultProxy, reader: _Reader, writer: _Writer) -> None:
    """Answer with a page that does not end."""
    await request_of(reader)
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 10000000000\r\n\r\n"
    )
    while True:
        writer.write(b"<p>" * 20_000)
        await writer.drain()


def dated(days: int) -> Talk:
    """Pass requests on; the Date of the answers is days off."""

    async def talk(proxy: FaultProxy, reader: _Reader, writer: _Writer) -> None:
        while True:
            answer = await proxy.ask_store(await request_of(reader))
            proxy.bitten += 1
            told = formatdate(SystemClock().now_ms() / 1000 + days * 86_400, usegmt=True)
            lines = answer.split(b"\r\n")
            lines = [f"Date: {told}".encode() if ln.startswith(b"Date:") else ln for ln in lines]
            writer.write(b"\r\n".join(lines))

    return talk


def greeting(text: bytes) -> Talk:
    """Be something else than an HTTP server, which answers whatever comes with this."""

    async def talk(proxy: FaultProxy, reader: _Reader, writer: _Writer) -> None:
        await reader.read(65_536)
        writer.write(text)

    return talk


LOGIN_PAGE = says("200 OK", "Content-Type: text/html", body=_HTML)
REDIRECT = says("302 Found", "Location: http://127.0.0.1:9/login")
PROXY_LOGIN = says("407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=x")
TOO_MANY = says("429 Too Many Requests", f"Retry-After: {_RETRY_S}")
BAD_GATEWAY = says("502 Bad Gateway", "Content-Type: text/html", body=_HTML)
