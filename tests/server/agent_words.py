"""What agents write of their deliveries and of themselves, as lines."""

from collections.abc import Mapping

from contract.line import encode
from contract.reading import PointId, Reading
from simulators.layout import SITE

LEDGER = 2**47 + 11


def receipt(agent: str, first: int, last: int, times: tuple[int, int], **more: float) -> str:
    """Give a receipt's line; sent when the newest reading was read, unless `sent_ms` says when."""
    oldest, newest = times
    values = {
        "sequence_first": first, "sequence_last": last, "oldest_ms": oldest, "newest_ms": newest,
        "readings_sent": last - first + 1, "outbox_id": LEDGER, "sequence_next": last + 1,
    } | more  # fmt: skip
    return word(agent, int(values.pop("sent_ms", newest)), values)


def word(agent: str, at_ms: int, values: Mapping[str, float]) -> str:
    """Give a line of an agent's deliveries."""
    fields = ",".join(f"{k}={float(v)!r}" for k, v in values.items())
    return f"delivery,device={agent},site={SITE} {fields},lag_s=0.0 {at_ms}"


def queued(agent: str, at_ms: int, first: int, last: int, parcels: int) -> str:
    """Give an agent's word on what waits."""
    names = {"queued_first": first, "queued_last": last, "queued_parcels": parcels}
    return word(agent, at_ms, names | {"outbox_id": LEDGER})


def points(device: str, at_ms: int, **values: float) -> str:
    """Give an agent's own points."""
    known = [Reading(PointId(SITE, device, k), at_ms, float(v)) for k, v in values.items()]
    return "\n".join(encode(known))
