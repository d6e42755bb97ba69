"""Routes for organizations, their members, and the invitations by which people become members."""

from __future__ import annotations

import re
import secrets

from fastapi import APIRouter, Request, Response

from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson, body_of, paged, required
from deploy.local.sandbox.rights import ROLES
from deploy.local.sandbox.store import Document, now


def organizations_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    api.include_router(_organizations(sandbox))
    api.include_router(_members(sandbox))
    api.include_router(_invitations(sandbox))
    return api


def _organizations(sandbox: Sandbox) -> APIRouter:
    api = APIRouter()
    store = sandbox.store

    @api.get("/organizations")
    def organizations(request: Request) -> VndJson:
        """Organizations that one belongs to."""
        caller = sandbox.caller(request)
        found = caller.seen(store.all("organization"), lambda o: caller.rights.role(o["id"]) >= 0)
        query = request.query_params
        found = [o for o in found if query.get("slug", o["slug"]) == o["slug"]]
        found = [o for o in found if query.get("search", "").lower() in f"{o['slug']} {o['name']}".lower()]
        return paged(request, found, caller.views.organization)

    @api.post("/organizations")
    async def create_organization(request: Request) -> VndJson:
        """A new organization; whoever makes it owns it."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "slug")
        slug = str(body["slug"])
        if not re.fullmatch(r"[-\w]{1,16}", slug):
            raise Problem(400, {"slug": ["Enter a valid slug of at most 16 letters, numbers, underscores or hyphens."]})
        if store.all("organization", slug=slug):
            raise Problem(400, {"slug": ["organization with this slug already exists."]})
        when = now()
        with store.transaction():
            made = store.put(
                "organization",
                {
                    "id": store.next_id("organization"),
                    "slug": slug,
                    "name": body.get("name") or slug,
                    "description": body.get("description") or "",
                    "contact": body.get("contact") or {},
                    "owner": caller.user["id"],
                    "created_date": when,
                    "updated_date": when,
                },
            )
            _join(sandbox, made["id"], caller.user["id"], "owner", joined=when)
        return VndJson(caller.views.organization(made), 201)

    @api.get("/organizations/{number}")
    def organization(number: int, request: Request) -> VndJson:
        """One organization."""
        caller = sandbox.caller(request)
        found = caller.need("organization", number)
        caller.allow(caller.rights.role(number) >= 0)
        return VndJson(caller.views.organization(found))

    @api.patch("/organizations/{number}")
    async def patch_organization(number: int, request: Request) -> VndJson:
        """Change name, description or contact."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        found = caller.need("organization", number)
        caller.allow(caller.rights.leads(number))
        with store.transaction():
            before = caller.views.organization(found)
            found |= {k: body[k] for k in ("name", "description", "contact") if k in body} | {"updated_date": now()}
            store.put("organization", found)
            _fire(caller, number, "update:organization", "organization", caller.views.organization(found), before)
        return VndJson(caller.views.organization(found))

    return api


def _members(sandbox: Sandbox) -> APIRouter:
    api = APIRouter()
    store = sandbox.store

    @api.get("/memberships")
    def memberships(request: Request) -> VndJson:
        """Members of the organization."""
        caller = sandbox.caller(request)
        found = caller.within(store.all("membership")) if caller.workspace else store.all("membership")
        found = caller.seen(found, lambda m: caller.rights.role(m["organization"]) >= 0)
        role = request.query_params.get("role")
        return paged(request, [m for m in found if role in (None, m["role"])], caller.views.membership)

    @api.patch("/memberships/{number}")
    async def patch_membership(number: int, request: Request) -> VndJson:
        """Give a member another role."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        found = caller.need("membership", number)
        caller.allow(caller.rights.leads(found["organization"]))
        with store.transaction():
            before = caller.views.membership(found)
            found = store.put("membership", {**found, "role": _role(body)})
            after = caller.views.membership(found)
            _fire(caller, found["organization"], "update:membership", "membership", after, before)
        return VndJson(after)

    @api.delete("/memberships/{number}")
    def delete_membership(number: int, request: Request) -> Response:
        """Take somebody out of the organization."""
        caller = sandbox.caller(request)
        found = caller.need("membership", number)
        caller.allow(found["user"] == caller.user["id"] or caller.rights.leads(found["organization"]))
        with store.transaction():
            body = caller.views.membership(found)
            store.delete("membership", number)
            _fire(caller, found["organization"], "delete:membership", "membership", body)
        return Response(status_code=204)

    return api


def _invitations(sandbox: Sandbox) -> APIRouter:
    api = APIRouter()
    store = sandbox.store

    @api.get("/invitations")
    def invitations(request: Request) -> VndJson:
        """Invitations to the organization."""
        caller = sandbox.caller(request)
        found = caller.within(store.all("invitation")) if caller.workspace else store.all("invitation")
        mine = caller.user["id"]
        found = caller.seen(found, lambda i: i["user"] == mine or caller.rights.leads(i["organization"]))
        return paged(request, found, caller.views.invitation)

    @api.post("/invitations")
    async def invite(request: Request) -> VndJson:
        """Somebody the server knows becomes a member at once, as in a CVAT that sends no e-mails."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "role", "email")
        if caller.workspace is None:
            raise Problem(400, {"detail": "an invitation needs an organization: send X-Organization"})
        place = caller.workspace["id"]
        caller.allow(caller.rights.leads(place))
        known = store.all("user", email=body["email"])
        if not known:
            raise Problem(400, {"email": ["the sandbox invites people it knows only: register them first"]})
        if store.all("membership", organization=place, user=known[0]["id"]):
            raise Problem(400, "The user is already a member of the organization.")
        with store.transaction():
            invitation = _invite(sandbox, caller, known[0]["id"], _role(body))
        return VndJson(caller.views.invitation(invitation), 201)

    @api.post("/invitations/{key}/accept")
    def accept(key: str, request: Request) -> VndJson:
        """Invitations are accepted as soon as they are made."""
        sandbox.caller(request)
        if not store.all("invitation", key=key):
            raise Problem(404, {"detail": "No Invitation matches the given query."})
        raise Problem(400, "Your invitation is already accepted.")

    return api


def _invite(sandbox: Sandbox, caller: Caller, user: int, role: str) -> Document:
    store, place = sandbox.store, (caller.workspace or {})["id"]
    membership = _join(sandbox, place, user, role)
    before = caller.views.membership(membership)
    _fire(caller, place, "create:membership", "membership", before)
    common = {"key": secrets.token_hex(32), "created_date": now(), "owner": caller.user["id"]}
    invitation = {"id": store.next_id("invitation"), **common, "role": role, "user": user, "organization": place}
    store.put("invitation", invitation)
    _fire(caller, place, "create:invitation", "invitation", caller.views.invitation(invitation))
    membership |= {"is_active": True, "joined_date": now(), "invitation": invitation["key"]}
    store.put("membership", membership)
    # CVAT links the invitation without an event of its own.
    linked = {**before, "invitation": invitation["key"]}
    _fire(caller, place, "update:membership", "membership", caller.views.membership(membership), linked)
    return invitation


def _join(sandbox: Sandbox, organization: int, user: int, role: str, joined: str | None = None) -> Document:
    membership: Document = {"id": sandbox.store.next_id("membership"), "organization": organization, "user": user}
    membership |= {"role": role, "is_active": joined is not None, "joined_date": joined, "invitation": None}
    return sandbox.store.put("membership", membership)


def _fire(
    caller: Caller, organization: int, event: str, kind: str, body: Document, before: Document | None = None
) -> None:
    caller.changes.fire(None, event, kind, body, before, organization=organization)


def _role(body: Document) -> str:
    if body.get("role") not in ROLES:
        raise Problem(400, {"role": [f'"{body.get("role")}" is not a valid choice.']})
    return str(body["role"])
