"""The sink's HTTP application: what is acknowledged is on disk."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool

from analytics.events import read_lines
from resources.events.spool import Spool, SpoolFullError
from sensors.sink.loader import Loader

logger = logging.getLogger("reefline.sink")

BODY_LIMIT = 64 * 1024 * 1024
"""Bytes, unpacked. CVAT's logger sends some hundred events at once, Vector at most 10 MB."""
RETRY_S = "5"


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """What the sink needs to know. ``secrets``: those it takes; empty: anybody may send (development)."""

    secrets: Sequence[str]
    body_limit: int = BODY_LIMIT


class Refused(Exception):
    """A request that is answered with an error of the sender's making."""

    def __init__(self, status: int, why: str) -> None:
        """Answer with ``status`` and ``why``."""
        super().__init__(why)
        self.status = status
        self.why = why


def create_app(spool: Spool, loader: Loader, settings: SinkSettings) -> FastAPI:
    """The application. Events may be sent to ``/`` (as to Vector) or ``/events``."""
    app = FastAPI(title="reefline event sink", docs_url=None, redoc_url=None, openapi_url=None)
    counts: Counter[str] = Counter()

    async def receive(request: Request) -> Response:
        try:
            _allowed(request.headers.get("authorization", ""), settings.secrets)
            body = await _body(request, settings.body_limit)
        except Refused as refused:
            counts[f"refused_{refused.status}"] += 1
            logger.warning("refused %s with %d: %s", request.url.path, refused.status, refused.why)
            return JSONResponse({"error": refused.why}, refused.status)
        events, rejects = await run_in_threadpool(read_lines, body)
        try:
            await run_in_threadpool(spool.append, events, rejects)
        except SpoolFullError as error:
            # Back-pressure: Vector and CVAT's logger keep what got a 5xx and come again.
            counts["refused_503"] += 1
            logger.warning("senders must wait: %s", error)
            return JSONResponse({"error": str(error)}, 503, headers={"Retry-After": RETRY_S})
        counts["accepted"] += len(events)
        counts["rejected"] += len(rejects)
        said: dict[str, object] = {"accepted": len(events), "rejected": len(rejects)}
        if rejects:
            said["reasons"] = [f"line {r.place}: {r.reason}" for r in rejects[:10]]
        return JSONResponse(said)

    for path in ("/", "/events"):
        app.add_api_route(path, receive, methods=["POST"])

    @app.get("/health")
    async def health() -> dict[str, str]:
        """The process answers. Nothing else is looked at."""
        return {"status": "healthy"}

    @app.get("/ready")
    async def ready() -> Response:
        """Events can be kept. Whether ClickHouse is there does not matter for that."""
        free = spool.limit_bytes - spool.size
        trouble = loader.trouble
        state = {"status": "ready" if free > 0 else "full", "waiting": spool.waiting, "clickhouse": trouble or "fine"}
        return JSONResponse(state, 200 if free > 0 else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counters since the start, for Prometheus."""
        lines = ["# TYPE reefline_sink_events_total counter"]
        lines += [f'reefline_sink_events_total{{outcome="{name}"}} {n}' for name, n in sorted(counts.items())]
        lines += [f'reefline_sink_loaded_total{{outcome="{name}"}} {n}' for name, n in loader.counts().items()]
        lines += [
            "# TYPE reefline_sink_waiting gauge",
            f"reefline_sink_waiting {spool.waiting}",
            f"reefline_sink_waiting_bytes {spool.size}",
            f"reefline_sink_database_away {int(loader.trouble is not None)}",
            "",
        ]
        return PlainTextResponse("\n".join(lines))

    return app


def _allowed(header: str, secrets: Sequence[str]) -> None:
    """Bearer token, or the password of basic authentication (the user does not matter)."""
    if not secrets:
        return
    kind, _, given = header.partition(" ")
    if kind.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            given = ""
    # Every secret is tried, so the time does not tell which one fits.
    fits = [hmac.compare_digest(given.strip().encode(), secret.encode()) for secret in secrets]
    if not any(fits) or kind.lower() not in ("basic", "bearer"):
        raise Refused(401, "the secret is missing or wrong: send REEFLINE_EVENTS_SECRET as bearer token or password")


async def _body(request: Request, limit: int) -> bytes:
    packed = request.headers.get("content-encoding", "identity").lower()
    if packed not in ("identity", "gzip"):
        raise Refused(415, f"content-encoding {packed} is not taken: send gzip or none")
    unpack = zlib.decompressobj(wbits=31) if packed == "gzip" else None
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        try:
            plain = unpack.decompress(part, limit + 1) if unpack else part
        except zlib.error as error:
            raise Refused(400, f"the body is no gzip: {error}") from error
        size += len(plain)
        if size > limit:
            raise Refused(413, f"the body is over {limit} bytes: send fewer events at once")
        parts.append(plain)
    if unpack and not unpack.eof and size:
        raise Refused(400, "the gzip body is cut off")
    return b"".join(parts)
