"""Request bodies: read with a limit, gzip members unpacked with the same limit."""

import zlib
from collections.abc import AsyncIterable

_GZIP = 16 + zlib.MAX_WBITS


class BodyError(Exception):
    """A body that cannot be taken; `status` is 400 or 413."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


async def read_body(chunks: AsyncIterable[bytes], encoding: str, limit: int) -> bytes:
    """Give the plain body; BodyError 413 when it is too large as sent or unpacked."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise BodyError(413, f"expected at most {limit} bytes; fix: send smaller batches")
    if encoding == "gzip":
        return gunzip(bytes(body), limit)
    if encoding not in {"", "identity"}:
        raise BodyError(400, f"expected Content-Encoding gzip or identity, got {encoding}")
    return bytes(body)


def gunzip(body: bytes, limit: int) -> bytes:
    """Unpack concatenated gzip members; BodyError when broken or larger than the limit."""
    out = bytearray()
    while body:
        member = zlib.decompressobj(_GZIP)
        try:
            out += member.decompress(body, limit - len(out) + 1)
        except zlib.error as error:
            raise BodyError(400, f"expected gzip, got {error}") from error
        if len(out) > limit or member.unconsumed_tail:
            raise BodyError(413, f"expected at most {limit} bytes unpacked; fix: smaller batches")
        if not member.eof:
            raise BodyError(400, "expected whole gzip members, got a truncated one")
        body = member.unused_data
    return bytes(out)
