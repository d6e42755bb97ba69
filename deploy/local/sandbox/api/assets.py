"""Routes for assets: the pictures in annotation guides."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson
from deploy.local.sandbox.store import Document, now

TYPES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif"}
LARGEST = 10 * 1024 * 1024


def assets_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.post("/assets")
    async def create_asset(request: Request) -> VndJson:
        """A picture for a guide."""
        caller = sandbox.caller(request)
        async with request.form() as form:
            file, number = form.get("file"), form.get("guide_id")
            if file is None or isinstance(file, str) or not str(number).isdigit():
                raise Problem(400, {"file": ["a file and a guide_id are needed"]})
            kind, data = str(file.content_type), await file.read()
            name = file.filename or ""
        guide = caller.need("guide", int(str(number)))
        if kind not in TYPES or len(data) > LARGEST:
            raise Problem(400, {"file": [f"an asset is {', '.join(TYPES)} of 10 MiB at most"]})
        key = str(uuid.uuid4())
        asset: Document = {"id": store.next_id("asset"), "uuid": key, "filename": name, "type": kind}
        asset |= {"created_date": now(), "owner": caller.user["id"], "guide_id": guide["id"]}
        folder = store.folder / "assets"
        folder.mkdir(exist_ok=True)
        (folder / key).write_bytes(data)
        store.put("asset", asset)
        fields = {name: asset[name] for name in ("uuid", "filename", "created_date", "guide_id")}
        return VndJson({**fields, "owner": caller.views.basic_user(asset["owner"])}, 201)

    @api.get("/assets/{key}")
    def asset(key: str, request: Request) -> FileResponse:
        """The picture."""
        found = _need(sandbox.caller(request), key)
        return FileResponse(store.folder / "assets" / key, media_type=found["type"])

    @api.delete("/assets/{key}")
    def delete_asset(key: str, request: Request) -> Response:
        """Delete a picture."""
        caller = sandbox.caller(request)
        found = _need(caller, key)
        caller.allow(found["owner"] == caller.user["id"])
        store.delete("asset", found["id"])
        (store.folder / "assets" / key).unlink(missing_ok=True)
        return Response(status_code=204)

    return api


def _need(caller: Caller, key: str) -> Document:
    found = caller.store.all("asset", uuid=key)
    if not found:
        raise Problem(404, {"detail": "Not found."})
    return found[0]
