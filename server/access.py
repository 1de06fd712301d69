"""Who may read: everybody where the console has no token (loopback only), else who knows one."""

import hmac
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from server.analysis import Analysis

_basic = HTTPBasic(auto_error=False)


def is_token(authorization: str, tokens: tuple[str, ...]) -> bool:
    """Compare an Authorization header with tokens, each in constant time."""
    given = authorization.removeprefix("Token ").removeprefix("Bearer ").encode("utf-8")
    matches = [hmac.compare_digest(given, t.encode("utf-8")) for t in tokens]
    return any(matches)


def reader(
    request: Request,
    given: Annotated[HTTPBasicCredentials | None, Depends(_basic)],
    authorization: Annotated[str, Header()] = "",
) -> Analysis:
    """Give the running server's analysis to somebody who may read; 401 to others.

    The password of HTTP Basic, or an Authorization: Token header, is the console's token; the
    write tokens open the API too.
    """
    state = request.app.state
    if state.console_token:
        tokens = (state.console_token, *state.write_tokens)
        by_password = given is not None and is_token(given.password, (state.console_token,))
        if not by_password and not is_token(authorization, tokens):
            raise HTTPException(401, "口令不正确 / wrong password", {"WWW-Authenticate": "Basic"})
    found: Analysis = state.analysis
    return found


Asked = Annotated[Analysis, Depends(reader)]
