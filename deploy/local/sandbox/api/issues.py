"""Routes for what people say about pictures: issues and comments."""

from __future__ import annotations

from fastapi import APIRouter, Request

from deploy.local.sandbox.http import Sandbox, VndJson, body_of, paged, required
from deploy.local.sandbox.store import now


def issues_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.get("/issues")
    def issues(request: Request) -> VndJson:
        """Issues of a task or job."""
        caller = sandbox.caller(request)
        query = request.query_params
        found = caller.seen(store.all("issue"), caller.rights.has_issue)
        if "job_id" in query:
            found = [i for i in found if i["job"] == int(query["job_id"])]
        if "task_id" in query:
            mine = {j["id"] for j in store.all("job", task_id=int(query["task_id"]))}
            found = [i for i in found if i["job"] in mine]
        return paged(request, found, caller.views.issue)

    @api.post("/issues")
    async def create_issue(request: Request) -> VndJson:
        """A new issue with its first comment."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "job", "frame", "message")
        where = caller.need("job", body["job"])
        caller.allow(caller.rights.has_job(where))
        task_ = caller.need("task", where["task_id"])
        when = now()
        base = {"owner": caller.user["id"], "created_date": when, "updated_date": when}
        with store.transaction():
            fields = {k: body.get(k) for k in ("job", "frame")}
            fields["position"] = [float(v) for v in body.get("position") or []]
            issue = store.put("issue", {"id": store.next_id("issue"), **fields, **base, "resolved": False})
            caller.changes.fire(task_["project_id"], "create:issue", "issue", caller.views.issue(issue))
            caller.changes.add_comment(issue, body["message"])
        return VndJson(caller.views.issue(issue), 201)

    @api.patch("/issues/{number}")
    async def patch_issue(number: int, request: Request) -> VndJson:
        """Resolve an issue, or open it again."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        issue = caller.need("issue", number)
        caller.allow(caller.rights.has_issue(issue))
        with store.transaction():
            caller.changes.patch_issue(issue, body)
        return VndJson(caller.views.issue(issue))

    return api


def comments_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.post("/comments")
    async def create_comment(request: Request) -> VndJson:
        """A word about an issue."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "issue", "message")
        issue = caller.need("issue", body["issue"])
        caller.allow(caller.rights.has_issue(issue))
        with store.transaction():
            comment = caller.changes.add_comment(issue, body["message"])
        return VndJson(caller.views.comment(comment), 201)

    @api.get("/comments")
    def comments(request: Request) -> VndJson:
        """Comments of an issue."""
        caller = sandbox.caller(request)
        mine = {i["id"] for i in caller.seen(store.all("issue"), caller.rights.has_issue)}
        found = [c for c in store.all("comment") if c["issue"] in mine]
        if "issue_id" in request.query_params:
            found = [c for c in found if c["issue"] == int(request.query_params["issue_id"])]
        return paged(request, found, caller.views.comment)

    return api
