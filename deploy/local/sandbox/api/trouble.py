"""Routes that only the sandbox has: faults and dialects of its webhooks. They are the administrator's."""

from __future__ import annotations

from fastapi import APIRouter, Request

from deploy.local.sandbox.faults import Dialect, Faults, dialect_of, set_dialect, set_faults
from deploy.local.sandbox.http import Problem, Sandbox, VndJson, body_of, required
from deploy.local.sandbox.store import Document


def trouble_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/sandbox")
    store = sandbox.store

    @api.get("/faults")
    def faults(request: Request) -> VndJson:
        """The faults in force, and how often each has happened since they were set."""
        _administrator(sandbox, request)
        return VndJson(_shown(store.get("faults", 1) or {name: getattr(Faults(), name) for name in Faults.__slots__}))

    @api.post("/faults")
    async def change_faults(request: Request) -> VndJson:
        """Put faults in force; an empty object switches them all off."""
        _administrator(sandbox, request)
        body = await body_of(request)
        try:
            return VndJson(_shown(set_faults(store, body)))
        except (TypeError, ValueError) as error:
            raise Problem(400, {"detail": str(error)}) from error

    @api.post("/worker")
    async def stop_worker(request: Request) -> VndJson:
        """Stop the webhook worker, or let it go on: ``{"stopped": true}``."""
        _administrator(sandbox, request)
        stopped = (await body_of(request)).get("stopped") is True
        return VndJson(_shown(store.put("worker", {"id": 1, "stopped": stopped})))

    @api.get("/dialect")
    def dialect(request: Request) -> VndJson:
        """The dialect in force."""
        _administrator(sandbox, request)
        spoken: Dialect = dialect_of(store)
        return VndJson({"dialect": spoken.name, "retries": spoken.retries})

    @api.post("/dialect")
    async def change_dialect(request: Request) -> VndJson:
        """Speak another dialect from now on."""
        _administrator(sandbox, request)
        body = await body_of(request)
        required(body, "dialect")
        try:
            return VndJson(_shown(set_dialect(store, body["dialect"], body.get("retries"))))
        except (TypeError, ValueError) as error:
            raise Problem(400, {"detail": str(error)}) from error

    return api


def _administrator(sandbox: Sandbox, request: Request) -> None:
    if not sandbox.caller(request).user["is_superuser"]:
        raise Problem(403, {"detail": "You do not have permission to perform this action."})


def _shown(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "id"}
