"""python -m tests.bench.outbox.sink FOLDER: answer every POST with 204 as fast as may be.

The port is written to FOLDER/port.  With `?times` in the path each body is unpacked, and of its
lines of the device `live` the time of arrival is kept: a GET gives them as JSON.
"""

import asyncio
import gzip
import json
import sys
import time
from pathlib import Path


async def serve(folder: Path) -> None:
    arrived: dict[int, float] = {}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                size = next(
                    (int(ln.split(":")[1]) for ln in head.split("\r\n")
                     if ln.lower().startswith("content-length")), 0
                )  # fmt: skip
                body = await reader.readexactly(size)
                if head.startswith("GET"):
                    told = json.dumps(arrived).encode()
                    writer.write(
                        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told
                    )
                    continue
                if "live" in head.split("\r\n")[0]:
                    now_s = time.monotonic()
                    for line in gzip.decompress(body).split(b"\n"):
                        if b"device=live" in line:
                            arrived.setdefault(int(line.rsplit(b" ", 1)[1]), now_s)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    part = folder / "port.part"
    part.write_text(str(server.sockets[0].getsockname()[1]), "ascii")
    part.rename(folder / "port")
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
