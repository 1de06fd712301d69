"""Alembic's environment; versions/ holds one file a change of the schema."""
