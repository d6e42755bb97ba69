"""Routes for cloud storages: buckets that CVAT reads pictures from by itself."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson, body_of, paged, required
from deploy.local.sandbox.store import Document, now

PROVIDERS = ("AWS_S3_BUCKET", "AZURE_CONTAINER", "GOOGLE_CLOUD_STORAGE")
CREDENTIALS = ("key", "secret_key", "session_token", "account_name", "connection_string")
LONGEST = {"key": 40, "secret_key": 64, "display_name": 63, "resource": 222, "specific_attributes": 1024}


def clouds_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.get("/cloudstorages")
    def storages(request: Request) -> VndJson:
        """Cloud storages, by name, bucket or provider."""
        caller = sandbox.caller(request)
        query = request.query_params
        found = caller.seen(caller.within(store.all("cloudstorage")), lambda s: _has(caller, s))
        for given, field in (("name", "display_name"), ("resource", "resource"), ("provider_type", "provider_type")):
            if given in query:
                found = [s for s in found if s[field] == query[given]]
        words = query.get("search", "").lower()
        found = [s for s in found if words in f"{s['display_name']} {s['resource']} {s['description']}".lower()]
        return paged(request, found, caller.views.cloud_storage)

    @api.post("/cloudstorages")
    async def create_storage(request: Request) -> VndJson:
        """A new cloud storage; whether it can be read is told by its status."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "provider_type", "resource", "display_name", "credentials_type")
        when = now()
        place = caller.workspace["id"] if caller.workspace else None
        storage = {"id": store.next_id("cloudstorage"), "owner": caller.user["id"], "organization": place}
        storage |= {"created_date": when, "updated_date": when, "manifests": [], "credentials": {}}
        storage |= {"specific_attributes": "", "description": ""}
        return VndJson(caller.views.cloud_storage(store.put("cloudstorage", _changed(storage, body))), 201)

    @api.get("/cloudstorages/{number}")
    def storage(number: int, request: Request) -> VndJson:
        """One cloud storage, without its credentials."""
        caller = sandbox.caller(request)
        return VndJson(caller.views.cloud_storage(_need(caller, number)))

    @api.patch("/cloudstorages/{number}")
    async def patch_storage(number: int, request: Request) -> VndJson:
        """Change a cloud storage."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        changed = _changed(_need(caller, number), body) | {"updated_date": now()}
        return VndJson(caller.views.cloud_storage(store.put("cloudstorage", changed)))

    @api.delete("/cloudstorages/{number}")
    def delete_storage(number: int, request: Request) -> Response:
        """Forget a cloud storage; what is in it stays."""
        _need(sandbox.caller(request), number)
        store.delete("cloudstorage", number)
        return Response(status_code=204)

    @api.get("/cloudstorages/{number}/status")
    def status(number: int, request: Request) -> VndJson:
        """Whether it can be read."""
        _need(sandbox.caller(request), number)
        return VndJson(sandbox.sources.status(number))

    return api


def _has(caller: Caller, storage: Document) -> bool:
    return storage["owner"] == caller.user["id"] or caller.rights.leads(storage["organization"])


def _need(caller: Caller, number: int) -> Document:
    found = caller.need("cloudstorage", number)
    caller.allow(_has(caller, found))
    return found


def _changed(storage: Document, body: Document) -> Document:
    """A storage with the fields of a request, which are checked as CVAT does."""
    wrong = {
        name: [f"Ensure this field has no more than {most} characters."]
        for name, most in LONGEST.items()
        if len(str(body.get(name) or "")) > most
    }
    if body.get("provider_type", PROVIDERS[0]) not in PROVIDERS:
        wrong["provider_type"] = [f'"{body["provider_type"]}" is not a valid choice.']
    if wrong:
        raise Problem(400, wrong)
    plain = "provider_type resource display_name credentials_type specific_attributes description manifests".split()
    given = {name: body[name] for name in CREDENTIALS if body.get(name)}
    return {**storage, **{n: body[n] for n in plain if n in body}, "credentials": {**storage["credentials"], **given}}
