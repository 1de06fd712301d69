"""Store: where readings and rollups live.  One protocol, one behaviour suite, several engines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from contract.reading import PointId, Reading, Reason
from server.periods import Interval, Step
from server.rollup.model import Rollup
from server.series import Series, Times
from server.site.model import Site


@dataclass(frozen=True, slots=True)
class Receipt:
    """An agent's word on one push: parcels first..last of a ledger, reading times, readings sent.

    outbox_id 0: an agent that does not name its ledgers; sequence_next None: it did not say.
    """

    agent: str
    sequence_first: int
    sequence_last: int
    oldest_ms: int
    newest_ms: int
    readings_sent: int
    sent_ms: int
    outbox_id: int = 0
    sequence_next: int | None = None


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of a batch: lines kept, and what was wrong with the others (in batch order)."""

    accepted: int
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """Which spans were written since a mark, by point, oldest first; `mark` is to be kept.

    points None: the store knows the spans only, for all points (`everywhere`).
    """

    mark: int
    spans: Mapping[PointId, tuple[Interval, ...]]
    everywhere: tuple[Interval, ...] = ()


class Store(Protocol):
    """Upsert by (point, time); the last write of a point and time wins.  Thread-safe."""

    def write_lines(self, body: bytes, precision: str = "ms") -> WriteResult:
        """Store a line-protocol body; good lines are kept and durable when this returns."""

    def read_series(self, point: PointId, interval: Interval) -> Series:
        """Give a point's values with start <= time < end."""

    def read_many(self, points: Sequence[PointId], interval: Interval) -> dict[PointId, Series]:
        """Give several points' values at once; a point without values has an empty series."""

    def read_doubts(
        self, points: Sequence[PointId], interval: Interval, reason: Reason
    ) -> dict[PointId, Times]:
        """Give when points were said to be doubtful for a reason, sorted; none: left out."""

    def read_last(self, site: str) -> Sequence[Reading]:
        """Give the newest reading of every point of a site, bad ones included."""

    def first_ms(self, site: str) -> int | None:
        """Give the time of the oldest reading kept, None when there is none."""

    def read_receipts(self, site: str, since_ms: int) -> Sequence[Receipt]:
        """Give the delivery receipts sent at or after an instant, oldest first."""

    def read_delivery(self, site: str, interval: Interval) -> Mapping[str, Mapping[str, Series]]:
        """Give what agents said of deliveries with start <= time < end, by agent and field."""

    def count_readings(self, site: str, interval: Interval) -> int:
        """Count the readings kept with start <= time < end, bad ones too, deliveries not."""

    def written_since(self, site: str, mark: int, now_ms: int) -> Written:
        """Give what was written behind a mark (0: since a day ago); the new mark to go on from."""

    def delete(self, points: Sequence[PointId], interval: Interval) -> int:
        """Delete the points' readings with start <= time < end; give how many there were."""

    def write_rollups(self, site: Site, rollups: Sequence[Rollup]) -> None:
        """Write rollups (missing intervals are removed or left out, never written as 0)."""

    def read_rollups(
        self, site: Site, meters: Sequence[str], step: Step, interval: Interval
    ) -> dict[str, Rollup]:
        """Give the rollups of meters on the step grid that covers the interval; gaps are NaN."""

    def maintain(self, settled: int, now_ms: int, keep_from_ms: int | None) -> None:
        """Do the daily housekeeping, if the engine leaves any to us.

        settled: the mark up to which writes have been rolled up; readings older than
        `keep_from_ms` are dropped (rollups never).
        """

    def close(self) -> None:
        """Flush and release everything."""
