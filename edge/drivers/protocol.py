"""What every driver offers.  Drivers only ever read."""

from typing import Protocol

from edge.plan import RawBlock, ReadBlock


class Driver(Protocol):
    """One connection.  Used by one task at a time."""

    async def read(self, unit: int, block: ReadBlock, pause_s: float = 0.0) -> RawBlock:
        """Read a block; DeviceError when the device gives no usable answer.

        pause_s: silence the device wants before a request, beyond what the line itself needs.
        """

    async def close(self) -> None:
        """Let go of the link; reading again opens it anew."""
