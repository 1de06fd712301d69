"""The time that bytes take on a serial line.  Pure."""

from dataclasses import dataclass
from typing import Literal

FAST_LINE_BAUD = 19_200
FAST_LINE_GAP_S = 0.00175  # the Modbus serial line guide fixes t3.5 above 19200 baud

Parity = Literal["N", "E", "O"]


@dataclass(frozen=True, slots=True)
class Wire:
    """A line's speed and framing; gap_s is silence that is wanted beyond t3.5."""

    baud: int
    parity: Parity = "N"
    stopbits: int = 1
    gap_s: float = 0.0

    @property
    def bits(self) -> int:
        """Give the bits of one character: start, eight data, parity, stop."""
        return 9 + (self.parity != "N") + self.stopbits

    @property
    def character_s(self) -> float:
        """Give the time of one character."""
        return self.bits / self.baud

    @property
    def silence_s(self) -> float:
        """Give t3.5, the least silence between two frames."""
        return silence_s(self.baud, self.bits)


def silence_s(baud: int, bits: int = 11) -> float:
    """Give t3.5 of a line whose characters have `bits` bits, in seconds."""
    return FAST_LINE_GAP_S if baud > FAST_LINE_BAUD else 3.5 * bits / baud
