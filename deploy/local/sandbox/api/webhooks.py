"""Routes for webhooks and their deliveries."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from deploy.local.sandbox.faults import dialect_of
from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson, body_of, paged, required
from deploy.local.sandbox.store import Document, now

EVENTS = sorted(
    [f"{action}:{kind}" for action in ("create", "update", "delete") for kind in ("task", "job", "issue", "comment")]
    + ["update:project", "delete:project"]
)
ORGANIZATION_EVENTS = sorted(
    [*EVENTS, "create:project", "update:organization", "delete:organization", "create:invitation", "delete:invitation"]
    + [f"{action}:membership" for action in ("create", "update", "delete")]
)


def webhooks_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.get("/webhooks/events")
    def event_names(request: Request) -> VndJson:
        """What a project webhook may subscribe to."""
        kind = request.query_params.get("type", "project")
        names = ORGANIZATION_EVENTS if kind == "organization" else EVENTS
        events: list = names
        if dialect_of(store).recent:
            events = [{"key": key, "group": {"display_name": key.partition(":")[2].capitalize()}} for key in names]
        return VndJson({"webhook_type": kind, "events": events})

    @api.get("/webhooks")
    def webhooks(request: Request) -> VndJson:
        """Webhooks of a project."""
        caller = sandbox.caller(request)
        found = caller.seen(caller.within(store.all("webhook")), caller.rights.has_webhook)
        if "project_id" in request.query_params:
            found = [w for w in found if w["project_id"] == int(request.query_params["project_id"])]
        return paged(request, found, caller.views.webhook)

    @api.post("/webhooks")
    async def create_webhook(request: Request) -> VndJson:
        """A new webhook."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "target_url", "type", "events")
        project = caller.need("project", body["project_id"]) if body.get("project_id") else None
        if body["type"] == "organization" and caller.workspace is None:
            raise Problem(400, {"detail": "a webhook of this type needs an organization: send X-Organization"})
        place = project.get("organization") if project else (caller.workspace or {}).get("id")
        caller.allow(caller.rights.leads(place) or (project is not None and caller.rights.has_project(project)))
        when = now()
        webhook = {
            "id": store.next_id("webhook"),
            "owner": caller.user["id"],
            "created_date": when,
            "updated_date": when,
            "organization": place,
            **_webhook_fields(body),
        }
        store.put("webhook", webhook)
        written = caller.views.webhook(webhook)
        return VndJson(written, 201, headers={"location": written["url"]})

    @api.patch("/webhooks/{number}")
    async def patch_webhook(number: int, request: Request) -> VndJson:
        """Change a webhook."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        webhook = _mine(caller, number) | {k: v for k, v in body.items() if k in _webhook_fields({})}
        store.put("webhook", {**webhook, "updated_date": now()})
        return VndJson(caller.views.webhook(webhook))

    @api.delete("/webhooks/{number}")
    def delete_webhook(number: int, request: Request) -> Response:
        """Delete a webhook."""
        _mine(sandbox.caller(request), number)
        store.delete("webhook", number)
        return Response(status_code=204)

    api.include_router(_deliveries(sandbox))
    return api


def _deliveries(sandbox: Sandbox) -> APIRouter:
    api = APIRouter()
    store = sandbox.store

    @api.post("/webhooks/{number}/ping")
    def ping(number: int, request: Request) -> VndJson:
        """Send a ping now and say how it went."""
        caller = sandbox.caller(request)
        webhook = _mine(caller, number)
        sender = caller.views.basic_user(caller.user["id"])
        payload: Document = {"event": "ping", "webhook": caller.views.webhook(webhook), "sender": sender}
        return VndJson(sandbox.deliverer.send(webhook, payload))

    @api.get("/webhooks/{number}/deliveries")
    def deliveries(number: int, request: Request) -> VndJson:
        """What was sent, newest first."""
        _mine(sandbox.caller(request), number)
        return paged(request, store.all("delivery", webhook_id=number), lambda delivery: delivery)

    @api.post("/webhooks/{number}/deliveries/{delivery}/redelivery")
    def redeliver(number: int, delivery: int, request: Request) -> VndJson:
        """Send a delivery again; its keys come in another order, as from CVAT's jsonb column."""
        caller = sandbox.caller(request)
        payload = caller.need("delivery", delivery)["request"]
        shuffled = dict(sorted(payload.items(), key=lambda item: (len(item[0]), item[0])))
        sandbox.deliverer.queue_again(_mine(caller, number), shuffled)
        return VndJson({})

    return api


def _mine(caller: Caller, number: int) -> Document:
    """A webhook that the user may change."""
    found = caller.need("webhook", number)
    caller.allow(caller.rights.has_webhook(found))
    return found


def _webhook_fields(body: Document) -> Document:
    defaults: Document = {
        "target_url": "",
        "description": "",
        "type": "project",
        "content_type": "application/json",
        "secret": "",
        "is_active": True,
        "enable_ssl": True,
        "project_id": None,
        "events": [],
    }
    return {name: body.get(name, value) for name, value in defaults.items()}
