"""What a request costs on a line, in seconds.

A read of n registers takes 8 characters to ask, the device's turnaround (at least t3.5), 5 + 2n
characters to answer, and the silence before the next request.  A character has a start bit, eight
data bits, perhaps a parity bit, and its stop bits.  Without a serial line only the turnaround and
the device's pause count.  The turnaround is what agent.yaml says: 20 ms where nobody has measured.
"""

from dataclasses import dataclass

from edge.config import Connection, ModbusRtu, ModbusRtuTcp, ModbusTcp
from edge.plan import FEWEST_REQUESTS

ASKED, ANSWERED = 8, 5  # characters of a request, and of an answer beside its registers
FAST_LINE_BAUD = 19_200
FAST_LINE_SILENCE_S = 0.00175  # the Modbus serial line guide fixes t3.5 above 19200 baud
UNKNOWN_BITS = 11  # of a line behind a gateway: the most a character may have


@dataclass(frozen=True, slots=True)
class LineCost:
    """A line's speed; `baud` is None where there is no serial line, or its speed is not known.

    gap_s: silence that is wanted beyond t3.5
    """

    baud: int | None
    bits: int = UNKNOWN_BITS
    gap_s: float = 0.0
    turnaround_s: float = 0.02

    @property
    def character_s(self) -> float:
        """Give the time of one character."""
        return self.bits / self.baud if self.baud else 0.0

    @property
    def silence_s(self) -> float:
        """Give t3.5, the least silence between two frames."""
        is_fast = self.baud is not None and self.baud > FAST_LINE_BAUD
        return FAST_LINE_SILENCE_S if is_fast else 3.5 * self.character_s

    @property
    def between_s(self) -> float:
        """Give the silence that the line keeps between two frames."""
        return self.silence_s + self.gap_s

    @property
    def overhead_s(self) -> float:
        """Give what a request takes beside its registers and beyond any device's pause."""
        wait_s = max(self.silence_s, self.turnaround_s)
        return (ASKED + ANSWERED) * self.character_s + wait_s + self.between_s

    @property
    def register_s(self) -> float:
        """Give the time of one register."""
        return 2 * self.character_s

    def pause_beyond_s(self, pause_s: float) -> float:
        """Give how much longer a device's pause is than the silence that is kept anyway."""
        return max(0.0, pause_s - self.between_s)

    def read_s(self, registers: int, pause_s: float = 0.0) -> float:
        """Give what one read takes, with the silence behind it."""
        return self.overhead_s + registers * self.register_s + self.pause_beyond_s(pause_s)

    def answer_s(self, registers: int) -> float:
        """Give the time an answer takes on the wire."""
        return (ANSWERED + 2 * registers) * self.character_s

    def probe_s(self, timeout_s: float, pause_s: float = 0.0) -> float:
        """Give what it costs to ask a device that stays silent."""
        return ASKED * self.character_s + timeout_s + max(self.between_s, pause_s)

    def request_registers(self, pause_s: float = 0.0) -> float:
        """Give what one more request costs in registers: reading through a shorter gap pays."""
        if not self.character_s:
            return FEWEST_REQUESTS
        return (self.overhead_s + self.pause_beyond_s(pause_s)) / self.register_s


def line_of(connection: Connection) -> LineCost:
    """Give what requests on a connection cost."""
    turnaround_s = connection.turnaround_ms / 1000
    match connection:
        case ModbusRtu():
            bits = 9 + (connection.parity != "N") + connection.stopbits
            return LineCost(connection.baud, bits, connection.gap_ms / 1000, turnaround_s)
        case ModbusTcp() | ModbusRtuTcp():
            return LineCost(connection.line_baud, turnaround_s=turnaround_s)
        case _:
            return LineCost(None, turnaround_s=turnaround_s)
