"""OPC UA, by asyncua: values with their own status, in one request."""

import asyncio
import logging
import random

from asyncua import Client, ua

from contract.errors import DeviceError
from contract.reading import Reason
from edge.drivers.protocol import LinkStats
from edge.plan import RawBlock, ReadBlock

logging.getLogger("asyncua").setLevel(logging.CRITICAL)

SESSION_TIMEOUT_MS = 60_000
REOPEN_FIRST_S, REOPEN_MAX_S = 0.5, 60.0
_LOST = (OSError, asyncio.TimeoutError, ua.UaError)


class OpcUaDriver:
    """One OPC UA server.  Browse paths are resolved once per link; `unit` plays no part."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url, self._timeout_s = url, timeout_s
        self.stats = LinkStats()
        self._client: Client | None = None
        self._nodes: dict[str, ua.NodeId] = {}
        self._reopen_s = REOPEN_FIRST_S
        self._reopen_at_s = 0.0
        self._was_open = False

    async def read(
        self, unit: int, block: ReadBlock, pause_s: float = 0.0, timeout_s: float | None = None
    ) -> RawBlock:
        """Read the block's nodes; a bad status gives None for that node alone."""
        client = await self._connected()
        stats, now = self.stats, asyncio.get_running_loop().time
        stats.requests += 1
        began_s = now()
        try:
            async with asyncio.timeout(min(self._timeout_s, timeout_s or self._timeout_s)):
                ids = [await self._node(client, p.node) for p in block.points]
                answers = await client.uaclient.read_attributes(ids, ua.AttributeIds.Value)
        except _LOST as error:
            stats.timeouts += 1
            stats.lost_s += now() - began_s
            await self.close()
            raise DeviceError(Reason.TIMEOUT, str(error) or type(error).__name__) from error
        stats.busy_s += now() - began_s
        stats.latencies_s.append(now() - began_s)
        return RawBlock(block, values=tuple(_value(a) for a in answers))

    async def close(self) -> None:
        """End the session; a server that is gone is not waited for."""
        client, self._client = self._client, None
        self._nodes.clear()
        if client is not None:
            try:
                async with asyncio.timeout(1.0):
                    await client.disconnect()
            except _LOST:
                return

    async def _connected(self) -> Client:
        if self._client is not None:
            return self._client
        now_s = asyncio.get_running_loop().time()
        if now_s < self._reopen_at_s:
            raise DeviceError(Reason.REFUSED, "server is away; waiting before connecting again")
        client = Client(self._url, timeout=self._timeout_s)
        client.session_timeout = SESSION_TIMEOUT_MS
        try:
            await client.connect()
        except _LOST as error:
            self._reopen_at_s = now_s + self._reopen_s * random.uniform(0.8, 1.2)
            self._reopen_s = min(self._reopen_s * 2, REOPEN_MAX_S)
            raise DeviceError(Reason.REFUSED, str(error) or type(error).__name__) from error
        self._reopen_s = REOPEN_FIRST_S
        self.stats.reopened += self._was_open
        self._was_open = True
        self._client = client
        return client

    async def _node(self, client: Client, path: str) -> ua.NodeId:
        if path not in self._nodes:
            node = client.nodes.objects
            for name in path.split("/"):
                for child in await node.get_children():
                    if (await child.read_browse_name()).Name == name:
                        node = child
                        break
                else:
                    self.stats.exceptions += 1
                    raise DeviceError(Reason.ILLEGAL_ADDRESS, f"no node {path}")
            self._nodes[path] = node.nodeid
        return self._nodes[path]


def _value(answer: ua.DataValue) -> float | None:
    if not answer.StatusCode.is_good() or answer.Value is None or answer.Value.Value is None:
        return None
    return float(answer.Value.Value)
