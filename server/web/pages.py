"""Pages (first: a placeholder mount)."""

from fastapi import FastAPI


def mount_console(app: FastAPI, token: str) -> None:
    """Mount."""
    app.state.console_token = token
