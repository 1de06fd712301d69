"""State: what people and rules have decided; SQLAlchemy, SQLite by default, PostgreSQL by URL."""

from server.state.alert_rows import AlertRow, NewAlert
from server.state.repository import State, open_state

__all__ = ["AlertRow", "NewAlert", "State", "open_state"]
