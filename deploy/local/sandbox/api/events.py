"""Routes for the event log: what browsers tell, and the log as CSV."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from deploy.local.sandbox.events import as_csv, chosen, keep_client_events
from deploy.local.sandbox.http import Problem, Sandbox, VndJson, body_of, required
from deploy.local.sandbox.uploads import request_body


def events_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.post("/events")
    async def tell(request: Request) -> VndJson:
        """What somebody did on CVAT's pages."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "events", "timestamp")
        try:
            return VndJson(keep_client_events(store, body, caller.user, caller.workspace), 201)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Problem(400, {"events": [f"cannot be read: {error}"]}) from error

    @api.post("/events/export")
    def export(request: Request) -> VndJson:
        """Ask for the log as CSV."""
        caller = sandbox.caller(request)
        caller.allow(False)
        number = f"action=export&target=events&id={uuid.uuid4()}&user_id={caller.user['id']}"
        _write(sandbox, request, number)
        body = request_body(number, {"type": "export:events", "target": "events"}, owner=caller.user)
        body["result_url"] = f"{caller.views.base}/api/events/download?{urlencode({'rq_id': number})}"
        store.put("request", {"id": store.next_id("request"), "body": body})
        return VndJson({"rq_id": number}, 202)

    @api.get("/events/download")
    def download(request: Request) -> Response:
        """The log as CSV."""
        sandbox.caller(request).allow(False)
        return _csv(sandbox, request.query_params.get("rq_id", ""))

    @api.get("/events")
    def legacy(request: Request) -> Response:
        """The older way to the CSV: ask, ask again with ``query_id``, and again with ``action=download``."""
        sandbox.caller(request).allow(False)
        query = request.query_params
        if "query_id" not in query:
            number = str(uuid.uuid4())
            _write(sandbox, request, number)
            return VndJson({"query_id": number}, 202)
        return _csv(sandbox, query["query_id"]) if query.get("action") == "download" else Response(status_code=201)

    return api


def _write(sandbox: Sandbox, request: Request, number: str) -> None:
    try:
        data = as_csv(chosen(sandbox.store, request.query_params))
    except ValueError as error:
        raise Problem(400, {"detail": str(error)}) from error
    sandbox.exports(number).write_bytes(data)


def _csv(sandbox: Sandbox, number: str) -> Response:
    path = sandbox.exports(number)
    if not path.is_file():
        raise Problem(404, {"detail": "no such export"})
    name = f"logs_{datetime.now(UTC):%Y_%m_%d_%H_%M_%S}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(path.read_bytes(), media_type="text/csv", headers=headers)
