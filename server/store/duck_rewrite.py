"""Writing the embedded store's file anew, without the room that compaction left."""

from pathlib import Path

import duckdb

from contract.errors import DeliveryError

MEMORY = "1GB"


def rewrite(path: Path) -> tuple[int, int]:
    """Write a store's file anew, without the room that compaction left; give sizes before, after.

    No process may have it open.  The old file is replaced only when the new one is complete.
    """
    fresh = path.with_suffix(".rewriting")
    fresh.unlink(missing_ok=True)
    before = path.stat().st_size
    try:
        with duckdb.connect(config={"memory_limit": MEMORY}) as db:
            db.execute(f"ATTACH '{_quoted(path)}' AS old (READ_ONLY)")
            db.execute(f"ATTACH '{_quoted(fresh)}' AS new")
            db.execute("COPY FROM DATABASE old TO new")
            for (name,) in db.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = 'old'"
            ).fetchall():
                counts = [
                    db.execute(f"SELECT count(*) FROM {side}.{name}").fetchall()[0][0]
                    for side in ("old", "new")
                ]
                if counts[0] != counts[1]:
                    raise DeliveryError(
                        f"{name}: {counts[0]} rows became {counts[1]}", permanent=True
                    )
            db.execute("DETACH new")
    except duckdb.IOException as error:
        raise DeliveryError(str(error).splitlines()[0], permanent=True) from error
    fresh.replace(path)
    return before, path.stat().st_size


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
