"""Taking a task's pictures: uploaded in bulk or by TUS, or named on storage that CVAT reads by itself."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from PIL import Image, UnidentifiedImageError

from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson, body_of
from deploy.local.sandbox.sources import NotThere
from deploy.local.sandbox.store import Document, now
from deploy.local.sandbox.validation import check_creation

TUS = {"Tus-Resumable": "1.0.0"}


async def keep_files(request: Request, folder: Path) -> None:
    """Keep the pictures of a bulk upload."""
    async with request.form(max_files=10_000, max_fields=20_000) as form:
        for name, value in form.multi_items():
            if name.startswith("client_files") and not isinstance(value, str):
                _write(folder / _base_name(value.filename or ""), await value.read())


def begin_tus(request: Request, place: str, folder: Path) -> Response:
    """Begin a TUS upload; ``place``: the address below ``/api`` under which its bytes will come."""
    pairs = (item.strip().partition(" ") for item in request.headers.get("upload-metadata", "").split(",") if item)
    metadata = {key: base64.b64decode(value).decode() for key, _, value in pairs}
    upload_id = secrets.token_hex(16)
    (folder / f".{upload_id}.part").touch()
    name = _base_name(metadata.get("filename", ""))
    (folder / f".{upload_id}.name").write_text(f"{request.headers['upload-length']} {name}", encoding="utf-8")
    location = f"{request.url.scheme}://{request.url.netloc}/api/{place}/{upload_id}"
    return Response(status_code=201, headers={**TUS, "Location": location, "Upload-Filename": name})


def tus_file(folder: Path, upload_id: str) -> tuple[Path, str, int]:
    """What has arrived of a TUS upload, the name it will have, and its whole length."""
    part = folder / f".{_base_name(upload_id)}.part"
    if not part.exists():
        raise Problem(404, {"detail": "no such upload"})
    length, _, name = part.with_suffix(".name").read_text(encoding="utf-8").partition(" ")
    return part, name, int(length)


async def take_tus(request: Request, folder: Path, upload_id: str) -> Response:
    """The next bytes of a TUS upload."""
    part, name, length = tus_file(folder, upload_id)
    if int(request.headers.get("upload-offset", -1)) != part.stat().st_size:
        return Response(status_code=409)
    with part.open("ab") as file:
        async for piece in request.stream():
            file.write(piece)
    size = part.stat().st_size
    if size >= length:
        part.rename(part.parent / name)
        part.with_suffix(".name").unlink()
    return Response(status_code=204, headers={**TUS, "Upload-Offset": str(size), "Upload-Filename": name})


def tus_offset(folder: Path, upload_id: str) -> Response:
    """How much of a TUS upload has arrived."""
    part, _, length = tus_file(folder, upload_id)
    return Response(headers={**TUS, "Upload-Offset": str(part.stat().st_size), "Upload-Length": str(length)})


async def finish_upload(sandbox: Sandbox, caller: Caller, task: Document, body: Document) -> VndJson:
    """Make frames and jobs of what was uploaded."""
    folder = sandbox.store.media(task["id"])
    names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    if body.get("sorting_method") == "predefined":
        order = [_base_name(name) for name in body.get("upload_file_order") or []]
        names = [name for name in order if name in names]
    return await run_in_threadpool(_make, sandbox, caller, task, names, body)


async def point_to_files(sandbox: Sandbox, caller: Caller, task: Document, request: Request) -> VndJson:
    """Make frames and jobs of pictures that lie on the file share or in a cloud storage."""
    body = await body_of(request)
    given = [str(name) for name in body.get("server_files") or []]
    if not given:
        raise Problem(400, {"detail": "expected server_files, or the headers of an upload"})
    storage = body.get("cloud_storage_id")
    if storage is not None:
        found = caller.need("cloudstorage", storage)
        caller.allow(found["owner"] == caller.user["id"] or caller.rights.leads(found["organization"]))
    copied = bool(body.get("copy_data")) and storage is None
    kind = "cloud_storage" if storage is not None else "local" if copied else "share"
    with sandbox.store.transaction():
        caller.changes.start_upload(task)
    try:
        names = await run_in_threadpool(sandbox.sources.names, storage, given)
        if body.get("sorting_method", "lexicographical") == "lexicographical":
            names = sorted(names)
        if copied:
            await run_in_threadpool(_copy, sandbox, task, names)
    except NotThere as error:
        return _answer(sandbox, task, str(error))
    task["source"] = {"storage": kind, "cloud_storage_id": storage}
    return await run_in_threadpool(_make, sandbox, caller, task, names, body)


def _make(sandbox: Sandbox, caller: Caller, task: Document, names: list[str], body: Document) -> VndJson:
    if body.get("validation_params"):
        try:
            check_creation(body["validation_params"])
        except ValueError as error:
            raise Problem(400, {"validation_params": [str(error)]}) from error
    try:
        frames = [_frame(sandbox.sources.path(task, name), name) for name in names]
    except (NotThere, OSError, UnidentifiedImageError) as error:
        return _answer(sandbox, task, str(error))
    try:
        with sandbox.store.transaction():
            if frames:
                caller.changes.finish_upload(task, frames, body)
            return _answer(sandbox, task, "" if frames else "No media data found")
    except ValueError as error:
        return _answer(sandbox, task, str(error))


def _answer(sandbox: Sandbox, task: Document, problem: str) -> VndJson:
    """The request by which the client learns how it went."""
    number = f"action=create&target=task&target_id={task['id']}"
    operation = {"type": "create:task", "target": "task", "project_id": task["project_id"], "task_id": task["id"]}
    sandbox.store.put(
        "request", {"id": sandbox.store.next_id("request"), "body": request_body(number, operation, problem)}
    )
    return VndJson({"rq_id": number}, 202)


def request_body(number: str, operation: Document, problem: str = "", owner: Document | None = None) -> Document:
    """A background request that is over, as ``/api/requests`` tells of it."""
    who = {"owner": {"id": owner["id"], "username": owner["username"]}} if owner else {}
    when = now()
    whole: dict[str, Any] = {"project_id": None, "task_id": None, "job_id": None, "format": None, "lightweight": None}
    first = {name: operation[name] for name in ("type", "target")}
    return {
        "status": "failed" if problem else "finished",
        "message": problem,
        "id": number,
        "operation": {**first, **whole, **operation},
        "progress": 0.0,
        "created_date": when,
        "started_date": when,
        "finished_date": when,
        "expiry_date": when,
        "result_url": None,
        "result_id": None,
        **who,
    }


def _copy(sandbox: Sandbox, task: Document, names: list[str]) -> None:
    """Copy pictures of the file share to the uploaded ones."""
    shared = {**task, "source": {"storage": "share", "cloud_storage_id": None}}
    for name in names:
        path = sandbox.sources.path(shared, name)
        if not path.is_file():
            raise NotThere(f"{name} is not on the file share")
        target = sandbox.store.media(task["id"]) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, path.read_bytes())


def _frame(path: Path, name: str) -> Document:
    with Image.open(path) as image:
        width, height = image.size
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # CVAT applies the orientation tag
    return {"name": name, "width": height if turned else width, "height": width if turned else height}


def _base_name(name: str) -> str:
    base = Path(name.replace("\\", "/")).name
    if not base or base.startswith("."):
        raise Problem(400, {"detail": f"{name!r} cannot be the name of a picture"})
    return base


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
