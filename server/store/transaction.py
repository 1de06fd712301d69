"""One transaction on the embedded store: all of it or nothing, and never left open."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from contract.errors import DeliveryError


@contextmanager
def transaction(db: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what is done inside, or roll it back; DeliveryError when the engine refuses."""
    try:
        db.execute("BEGIN")
        end = "ROLLBACK"
        try:
            yield
            end = "COMMIT"
        finally:
            db.execute(end)
    except duckdb.Error as error:
        raise DeliveryError(str(error).splitlines()[0], permanent=False) from error
