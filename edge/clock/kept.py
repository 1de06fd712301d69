"""What the clock keeps on the card: the last known time, and the offsets of the last boots.

A file that cannot be read or written is no harm to what is known now.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

_VERSION = 1
_BOOTS_KEPT = 8


@dataclass(slots=True)
class Boot:
    """Offsets from uptime to time in ms: provisional, and true once it is known.

    marked_ms: uptime of the last slot that was marked, as far as it was saved
    """

    provisional_ms: int = 0
    true_ms: int | None = None
    marked_ms: int = 0


@dataclass(slots=True)
class KeptTime:
    """known_ms: the newest time that was surely reached; boots: by boot id, the oldest first."""

    path: Path
    known_ms: int = 0
    boots: dict[str, Boot] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "KeptTime":
        """Read the file; nothing is known when it cannot be used."""
        try:
            document = json.loads(path.read_text("utf-8"))
            boots = {
                str(name): Boot(int(provisional), None if true is None else int(true), int(marked))
                for name, (provisional, true, marked) in document["boots"].items()
            }
            if document["version"] == _VERSION:
                return cls(path, int(document["known_ms"]), boots)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        return cls(path)

    def save(self) -> None:
        """Write the file anew, whole or not at all; OSError when that fails."""
        for name in list(self.boots)[:-_BOOTS_KEPT]:
            del self.boots[name]
        document = {
            "version": _VERSION,
            "known_ms": self.known_ms,
            "boots": {n: [b.provisional_ms, b.true_ms, b.marked_ms] for n, b in self.boots.items()},
        }
        new = self.path.with_name(f"{self.path.name}.new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
