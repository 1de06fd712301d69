"""Who may read, and who may edit: everybody where the console has no token (loopback only), else
who knows one.
"""

import base64
import hmac
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Header, HTTPException, Request

from server.analysis import Analysis


def name_and_password(authorization: str) -> tuple[str, str] | None:
    """Give what an Authorization: Basic header carries, UTF-8; None when it is none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = (
            base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
        )
    except ValueError:
        return None
    return (name, password) if colon else None


def is_token(authorization: str, tokens: tuple[str, ...]) -> bool:
    """Compare an Authorization header with tokens, each in constant time."""
    given = authorization.removeprefix("Token ").removeprefix("Bearer ").encode("utf-8")
    matches = [hmac.compare_digest(given, t.encode("utf-8")) for t in tokens]
    return any(matches)


def is_agent(authorization: str, agent: str, state: Any) -> bool:
    """Say whether an Authorization header is an agent's: its own token, or where it has none one
    that is nobody's own.
    """
    own = state.agent_tokens
    shared = tuple(t for t in state.write_tokens if t not in own.values())
    return is_token(authorization, (own[agent],) if agent in own else shared)


def reader(
    request: Request,
    authorization: Annotated[str, Header()] = "",
) -> Analysis:
    """Give the running server's analysis to somebody who may read; 401 to others.

    The password of HTTP Basic, or an Authorization: Token header, is the console's token; the
    write tokens open the API too.
    """
    state, given = request.app.state, name_and_password(authorization)
    if state.console_token:
        tokens = (state.console_token, *state.write_tokens)
        by_password = given is not None and is_token(given[1], (state.console_token,))
        if not by_password and not is_token(authorization, tokens):
            raise HTTPException(401, "口令不正确 / wrong password", {"WWW-Authenticate": "Basic"})
    found: Analysis = state.analysis
    return found


Asked = Annotated[Analysis, Depends(reader)]


@dataclass(frozen=True, slots=True)
class Editor:
    """Somebody who may edit, by the name they gave (empty: none)."""

    analysis: Analysis
    name: str


def editor(
    request: Request,
    asked: Annotated[Analysis, Depends(reader)],
    authorization: Annotated[str, Header()] = "",
) -> Editor:
    """Give somebody who may edit the books: not an agent, and not a page of another site.

    An agent's write token opens reading only; a browser that was led here from elsewhere is
    turned away, since it sends the password all by itself.
    """
    token, given = request.app.state.console_token, name_and_password(authorization)
    by_password = given is not None and is_token(given[1], (token,))
    if token and not by_password and not is_token(authorization, (token,)):
        raise HTTPException(403, "需要管理口令 / the console's token is needed to edit")
    from_site = request.headers.get("sec-fetch-site", "none")
    origin = request.headers.get("origin", "")
    is_foreign = bool(origin) and urlsplit(origin).netloc != request.headers.get("host", "")
    if from_site not in {"none", "same-origin"} or is_foreign:
        raise HTTPException(403, "请从控制台页面提交 / expected a form of this console")
    return Editor(asked, given[0] if given is not None else "")


Editing = Annotated[Editor, Depends(editor)]
