"""POST /api/v2/write: readings come in as line protocol, answered as InfluxDB 2 does."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from contract.errors import DeliveryError
from server.access import is_token
from server.api.body import BodyError, read_body
from server.store.protocol import Store

RETRY_AFTER_S = 5
SHOWN_ERRORS = 20


def write_router(store: Store, tokens: tuple[str, ...], max_body_bytes: int) -> APIRouter:
    """Give the ingest route of a store."""
    router = APIRouter(tags=["ingest 数据接入"])

    @router.post("/api/v2/write", status_code=204, summary="写入读数 / write readings")
    async def write(
        request: Request,
        authorization: Annotated[str, Header()] = "",
        content_encoding: Annotated[str, Header()] = "",
        precision: Annotated[Literal["ns", "us", "ms", "s"], Query()] = "ns",
        org: str = "",
        bucket: str = "",
    ) -> Response:
        """Take line protocol: 204 all kept; 400 names the bad lines, the good ones are kept."""
        if not is_token(authorization, tokens):
            return refused(401, "unauthorized", "expected Authorization: Token <write token>")
        try:
            body = await read_body(request.stream(), content_encoding, max_body_bytes)
        except BodyError as error:
            code = "request too large" if error.status == 413 else "invalid"
            return refused(error.status, code, str(error))
        try:
            result = await run_in_threadpool(store.write_lines, body, precision)
        except DeliveryError as error:
            answer = refused(503, "unavailable", str(error))
            answer.headers["Retry-After"] = str(RETRY_AFTER_S)
            return answer
        if result.errors:
            shown = "; ".join(result.errors[:SHOWN_ERRORS])
            text = f"partial write: {len(result.errors)} lines refused, {result.accepted} kept: "
            return refused(400, "invalid", text + shown)
        return Response(status_code=204)

    return router


def refused(status: int, code: str, message: str) -> JSONResponse:
    """Give an error as InfluxDB 2 words it."""
    return JSONResponse({"code": code, "message": message}, status)
