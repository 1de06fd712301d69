"""Gates over OPC UA: counters under Objects/Gate, written once a second."""

import asyncio
import logging

from asyncua import Server, ua

from contract.clock import Clock
from simulators.devices import Device, Fault
from simulators.ports import free_port

logging.getLogger("asyncua").setLevel(logging.CRITICAL)
UPDATE_S = 0.5
_TYPES = {
    "door_in_total": ua.VariantType.UInt32,
    "door_out_total": ua.VariantType.UInt32,
    "people_now": ua.VariantType.Int32,
    "device_ok": ua.VariantType.Int32,
}


class GateServer:
    """One gate's OPC UA server on a free loopback port."""

    def __init__(self, device: Device, clock: Clock) -> None:
        self._device, self._clock = device, clock
        self._server = Server()
        self._task: asyncio.Task[None] | None = None
        self.url = ""

    async def start(self) -> None:
        """Start serving."""
        await self._server.init()
        self.url = f"opc.tcp://127.0.0.1:{free_port()}/"
        self._server.set_endpoint(self.url)
        self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        space = await self._server.register_namespace("urn:compound-energy:gate")
        gate = await self._server.nodes.objects.add_object(space, "Gate")
        values = self._device.values(self._clock.now_ms())
        nodes = {
            name: await gate.add_variable(space, name, int(values[name]), kind)
            for name, kind in _TYPES.items()
        }
        await self._server.start()
        self._task = asyncio.create_task(self._update(nodes))

    async def stop(self) -> None:
        """Stop serving."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._server.stop()

    async def _update(self, nodes: dict[str, object]) -> None:
        while True:
            values = self._device.values(self._clock.now_ms())
            bad = self._device.fault.kind in {Fault.SILENT, Fault.EXCEPTION, Fault.GARBAGE}
            status = ua.StatusCodes.BadSensorFailure if bad else ua.StatusCodes.Good
            for name, node in nodes.items():
                variant = ua.Variant(int(values[name]), _TYPES[name])
                answer = ua.DataValue(variant, ua.StatusCode(status))
                await node.write_value(answer)  # type: ignore[attr-defined] # asyncua is untyped
            self._device.polls += 0 if bad else 1
            await asyncio.sleep(UPDATE_S)
