"""Routes for webhooks and their deliveries."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from deploy.local.sandbox.http import Sandbox, VndJson, body_of, paged, required
from deploy.local.sandbox.store import Document, now

EVENTS = sorted(
    [f"{action}:{kind}" for action in ("create", "update", "delete") for kind in ("task", "job", "issue", "comment")]
    + ["update:project", "delete:project"]
)


def webhooks_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.get("/webhooks/events")
    def events(request: Request) -> VndJson:
        """What a project webhook may subscribe to."""
        return VndJson({"webhook_type": request.query_params.get("type", "project"), "events": EVENTS})

    @api.get("/webhooks")
    def webhooks(request: Request) -> VndJson:
        """Webhooks of a project."""
        caller = sandbox.caller(request)
        found = store.all("webhook")
        if "project_id" in request.query_params:
            found = [w for w in found if w["project_id"] == int(request.query_params["project_id"])]
        return paged(request, found, caller.views.webhook)

    @api.post("/webhooks")
    async def create_webhook(request: Request) -> VndJson:
        """A new webhook."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "target_url", "type", "events")
        when = now()
        webhook = {
            "id": store.next_id("webhook"),
            "owner": caller.user["id"],
            "created_date": when,
            "updated_date": when,
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
        webhook = caller.need("webhook", number) | {k: v for k, v in body.items() if k in _webhook_fields({})}
        store.put("webhook", {**webhook, "updated_date": now()})
        return VndJson(caller.views.webhook(webhook))

    @api.delete("/webhooks/{number}")
    def delete_webhook(number: int, request: Request) -> Response:
        """Delete a webhook."""
        sandbox.caller(request).need("webhook", number)
        store.delete("webhook", number)
        return Response(status_code=204)

    @api.post("/webhooks/{number}/ping")
    def ping(number: int, request: Request) -> VndJson:
        """Send a ping now and say how it went."""
        caller = sandbox.caller(request)
        webhook = caller.need("webhook", number)
        sender = caller.views.basic_user(caller.user["id"])
        payload: Document = {"event": "ping", "webhook": caller.views.webhook(webhook), "sender": sender}
        return VndJson(sandbox.deliverer.send(webhook, payload))

    @api.get("/webhooks/{number}/deliveries")
    def deliveries(number: int, request: Request) -> VndJson:
        """What was sent, newest first."""
        sandbox.caller(request)
        return paged(request, store.all("delivery", webhook_id=number), lambda delivery: delivery)

    @api.post("/webhooks/{number}/deliveries/{delivery}/redelivery")
    def redeliver(number: int, delivery: int, request: Request) -> VndJson:
        """Send a delivery again; its keys come in another order, as from CVAT's jsonb column."""
        caller = sandbox.caller(request)
        payload = caller.need("delivery", delivery)["request"]
        shuffled = dict(sorted(payload.items(), key=lambda item: (len(item[0]), item[0])))
        sandbox.deliverer.send(caller.need("webhook", number), shuffled, redelivery=True)
        return VndJson({})

    return api


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
