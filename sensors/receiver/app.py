"""The receiver's HTTP application."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from resources.inbox import Delivery, Inbox
from resources.settings import WEBHOOK_PATH
from sensors.receiver.metrics import CONTENT_TYPE, Metrics
from sensors.receiver.signature import HEADER, valid
from sensors.receiver.writer import GroupWriter

logger = logging.getLogger("reefline.receiver")

BODY_LIMIT = 8 * 1024 * 1024
"""Bytes; a job's payload with thousands of labels is well below."""

LEGACY_PATHS = (
    "/detect-model-webhook",
    "/crop-quadrat-and-create-new-task-webhook",
    "/remove-grid-and-create-new-task-webhook",
    "/crop-quadrat-and-detect-grid-webhook",
    "/remove-grid-and-detect-corals-webhook",
    "/crop-quadrat-and-detect-corals-webhook",
    "/test-webhook",
)
"""URLs of QUADRATSEG's bridge and their older aliases: a site switches by changing a host name."""


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """What the receiver needs to know. ``secrets``: the current one, and the old one during a rotation."""

    secrets: Sequence[str]
    allow_unsigned: bool = False
    body_limit: int = BODY_LIMIT


class Refused(Exception):
    """A request that is answered with an error of the sender's making."""

    def __init__(self, status: int, why: str) -> None:
        """Answer with ``status`` and ``why``."""
        super().__init__(why)
        self.status = status
        self.why = why


def create_app(inbox: Inbox, settings: ReceiverSettings) -> FastAPI:
    """The application. Every path that takes deliveries stores them in the same inbox."""
    app = FastAPI(title="reefline webhook receiver", docs_url=None, redoc_url=None, openapi_url=None)
    metrics = Metrics()
    writer = GroupWriter(inbox.insert_many)

    async def receive(request: Request) -> Response:
        started = time.perf_counter()
        outcome, answer = await take(request)
        metrics.answered(outcome, time.perf_counter() - started)
        return answer

    async def take(request: Request) -> tuple[str, Response]:
        try:
            body = await _checked_body(request, settings)
            event = _parsed(request, body)
        except Refused as refused:
            logger.warning("refused %s with %d: %s", request.url.path, refused.status, refused.why)
            return f"refused_{refused.status}", JSONResponse({"error": refused.why}, refused.status)
        name = str(event["event"])
        if name == "ping":
            return "ping", JSONResponse({"status": "pong"})
        delivery = Delivery(name, event, "webhook", request.url.path, dict(request.query_params))
        try:
            new = await writer.insert(delivery)
        except SQLAlchemyError:
            # Our own fault is never a 4xx: newer CVATs retry 5xx and drop 4xx.
            logger.exception("a delivery could not be stored")
            return "storage_failed", JSONResponse({"error": "the inbox cannot store now; send it again"}, 503)
        told = "accepted" if new else "duplicate"
        return told, JSONResponse({"status": told})

    for path in (WEBHOOK_PATH, *LEGACY_PATHS):
        app.add_api_route(path, receive, methods=["POST"])

    @app.get("/health")
    async def health() -> dict[str, str]:
        """The process answers. Nothing else is looked at."""
        return {"status": "healthy"}

    @app.get("/ready")
    async def ready() -> Response:
        """The inbox can be written."""
        try:
            await run_in_threadpool(inbox.writable)
        except SQLAlchemyError as error:
            logger.warning("not ready: %s", error)
            return JSONResponse({"status": "the inbox cannot be written"}, 503)
        return JSONResponse({"status": "ready"})

    @app.get("/metrics")
    async def figures() -> Response:
        """Figures for Prometheus, those of the inbox too."""
        try:
            text = await run_in_threadpool(metrics.text, inbox)
        except SQLAlchemyError as error:
            logger.warning("the inbox cannot be read: %s", error)
            text = metrics.text(None)
        return PlainTextResponse(text, media_type=CONTENT_TYPE)

    return app


async def _checked_body(request: Request, settings: ReceiverSettings) -> bytes:
    """The raw body, if it is small enough and signed. Nothing is parsed before that."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > settings.body_limit:
        raise Refused(413, f"the body is over {settings.body_limit} bytes")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > settings.body_limit:
            raise Refused(413, f"the body is over {settings.body_limit} bytes")
        parts.append(part)
    body = b"".join(parts)
    if not settings.allow_unsigned and not valid(request.headers.get(HEADER), body, settings.secrets):
        raise Refused(401, f"{HEADER} is missing or does not fit: check the webhook's secret in CVAT")
    return body


def _parsed(request: Request, body: bytes) -> dict:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(400, f"expected application/json, got {kind or 'no content type'}")
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "the body is not JSON") from error
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise Refused(400, "the body has no 'event'")
    return event
