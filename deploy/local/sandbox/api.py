"""Routes for projects, labels, tasks, jobs, issues and webhooks."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from deploy.local.sandbox.hooks import VERSION
from deploy.local.sandbox.http import Problem, Sandbox, VndJson, body_of, paged, required
from deploy.local.sandbox.store import Document, now

EVENTS = sorted(
    [f"{action}:{kind}" for action in ("create", "update", "delete") for kind in ("task", "job", "issue", "comment")]
    + ["update:project", "delete:project"]
)
STATES = ("new", "in progress", "rejected", "completed")
STAGES = ("annotation", "validation", "acceptance")
COLLECTION = {"projects": "project", "tasks": "task", "jobs": "job"}


def routes(sandbox: Sandbox) -> APIRouter:  # noqa: C901, PLR0915 - a list of small routes
    """All routes but those that carry pictures."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.get("/server/about")
    def about(request: Request) -> VndJson:
        """Name and version; the version is that of the API spoken here."""
        return VndJson(
            {
                "name": "CVAT sandbox of reefline",
                "description": "Speaks a part of CVAT's API, for trying and testing. Not CVAT.",
                "version": VERSION,
                "logo_url": f"{request.url.scheme}://{request.url.netloc}/static/logo.svg",
                "subtitle": "Sandbox",
            }
        )

    @api.post("/auth/login")
    async def login(request: Request) -> VndJson:
        """A token for user and password."""
        body = await body_of(request)
        token = sandbox.login(str(body.get("username")), str(body.get("password")))
        answer = VndJson({"key": token})
        answer.set_cookie("sessionid", token, httponly=True, samesite="lax")
        answer.set_cookie("csrftoken", token[:32], samesite="lax")
        return answer

    @api.post("/auth/logout")
    async def logout() -> VndJson:
        """Tokens of the sandbox stay valid; CVAT's answer."""
        return VndJson({"detail": "Successfully logged out."})

    @api.post("/auth/register")
    async def register(request: Request) -> VndJson:
        """A new annotator."""
        body = await body_of(request)
        required(body, "username", "password1")
        if store.all("user", username=body["username"]):
            raise Problem(400, {"username": ["A user with that username already exists."]})
        names = {k: str(body.get(k, "")) for k in ("first_name", "last_name", "email")}
        user = sandbox.add_user(body["username"], body["password1"], names=names)
        token = sandbox.login(user["username"], body["password1"])
        fields = {k: user[k] for k in ("username", "first_name", "last_name", "email")}
        return VndJson({**fields, "email_verification_required": False, "key": token}, 201)

    @api.get("/users")
    def users(request: Request) -> VndJson:
        """All users."""
        caller = sandbox.caller(request)
        found = [u for u in store.all("user") if request.query_params.get("username", u["username"]) == u["username"]]
        return paged(request, found, caller.views.user)

    @api.get("/users/self")
    def myself(request: Request) -> VndJson:
        """Who asks."""
        caller = sandbox.caller(request)
        return VndJson(caller.views.user(caller.user))

    @api.get("/projects")
    def projects(request: Request) -> VndJson:
        """Projects, by name or filter."""
        caller = sandbox.caller(request)
        return paged(request, _named(store.all("project"), request), caller.views.project)

    @api.post("/projects")
    async def create_project(request: Request) -> VndJson:
        """A new project with its labels."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "name")
        with store.transaction():
            project = caller.changes.create_project(body)
        written = caller.views.project(project)
        return VndJson(written, 201, headers={"location": written["url"]})

    @api.get("/projects/{number}")
    def project(number: int, request: Request) -> VndJson:
        """One project."""
        caller = sandbox.caller(request)
        return VndJson(caller.views.project(caller.need("project", number)))

    @api.patch("/projects/{number}")
    async def patch_project(number: int, request: Request) -> VndJson:
        """Rename a project, add or rename labels."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        found = caller.need("project", number)
        with store.transaction():
            before = caller.views.project(found)
            caller.changes.add_labels(number, body.get("labels") or [])
            found |= {k: body[k] for k in ("name", "bug_tracker") if k in body} | {"updated_date": now()}
            store.put("project", found)
            caller.changes.fire(number, "update:project", "project", caller.views.project(found), before)
        return VndJson(caller.views.project(found))

    @api.get("/labels")
    def labels(request: Request) -> VndJson:
        """Labels of a project, task or job."""
        caller = sandbox.caller(request)
        query = request.query_params
        found = store.all("label")
        project_id = _project_of(sandbox, query)
        if project_id is not None:
            found = [label for label in found if label["project_id"] == project_id]
        return paged(request, found, caller.views.label)

    @api.get("/tasks")
    def tasks(request: Request) -> VndJson:
        """Tasks, by name, project or filter."""
        caller = sandbox.caller(request)
        found = _named(store.all("task"), request)
        if "project_id" in request.query_params:
            found = [t for t in found if t["project_id"] == int(request.query_params["project_id"])]
        return paged(request, found, caller.views.task)

    @api.post("/tasks")
    async def create_task(request: Request) -> VndJson:
        """A new task without pictures."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "name")
        if body.get("project_id"):
            caller.need("project", body["project_id"])
        with store.transaction():
            task = caller.changes.create_task(body)
        written = caller.views.task(task)
        return VndJson(written, 201, headers={"location": written["url"]})

    @api.get("/tasks/{number}")
    def task(number: int, request: Request) -> VndJson:
        """One task."""
        caller = sandbox.caller(request)
        return VndJson(caller.views.task(caller.need("task", number)))

    @api.patch("/tasks/{number}")
    async def patch_task(number: int, request: Request) -> VndJson:
        """Change a task."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        found = caller.need("task", number)
        with store.transaction():
            caller.changes.patch_task(found, body)
        return VndJson(caller.views.task(found))

    @api.delete("/tasks/{number}")
    def delete_task(number: int, request: Request) -> Response:
        """Delete a task."""
        caller = sandbox.caller(request)
        found = caller.need("task", number)
        with store.transaction():
            caller.changes.delete_task(found)
        return Response(status_code=204)

    @api.get("/jobs")
    def jobs(request: Request) -> VndJson:
        """Jobs, by task, project, state or filter."""
        caller = sandbox.caller(request)
        query = request.query_params
        found = store.all("job")
        if "task_id" in query:
            found = [j for j in found if j["task_id"] == int(query["task_id"])]
        for name in ("state", "stage", "type"):
            if name in query:
                found = [j for j in found if j[name] == query[name]]
        if "project_id" in query:
            mine = {t["id"] for t in store.all("task", project_id=int(query["project_id"]))}
            found = [j for j in found if j["task_id"] in mine]
        return paged(request, found, caller.views.job)

    @api.post("/jobs")
    async def create_job(request: Request) -> VndJson:
        """A ground-truth job."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "type", "task_id")
        if body["type"] != "ground_truth" or not body.get("frames"):
            raise Problem(400, {"detail": "the sandbox makes ground-truth jobs with given frames only"})
        with store.transaction():
            job = caller.changes.create_ground_truth(caller.need("task", body["task_id"]), body["frames"])
        return VndJson(caller.views.job(job), 201)

    @api.get("/jobs/{number}")
    def job(number: int, request: Request) -> VndJson:
        """One job."""
        caller = sandbox.caller(request)
        return VndJson(caller.views.job(caller.need("job", number)))

    @api.patch("/jobs/{number}")
    async def patch_job(number: int, request: Request) -> VndJson:
        """Change state, stage or assignee of a job."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        for name, allowed in (("state", STATES), ("stage", STAGES)):
            if name in body and body[name] not in allowed:
                raise Problem(400, {name: [f'"{body[name]}" is not a valid choice.']})
        found = caller.need("job", number)
        with store.transaction():
            caller.changes.patch_job(found, body)
        return VndJson(caller.views.job(found))

    @api.get("/{collection}/{number}/annotations")
    def annotations(collection: str, number: int, request: Request) -> VndJson:
        """Shapes and tags of a task or job."""
        caller = sandbox.caller(request)
        kept = [store.get("annotations", j["id"]) for j in _jobs_of(caller, collection, number)]
        found = [k for k in kept if k]
        shapes = [s for k in found for s in k["shapes"]]
        return VndJson({"version": 0, "tags": [t for k in found for t in k["tags"]], "shapes": shapes, "tracks": []})

    @api.put("/{collection}/{number}/annotations")
    async def replace_annotations(collection: str, number: int, request: Request) -> VndJson:
        """Replace all shapes."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        with store.transaction():
            jobs = _jobs_of(caller, collection, number)
            saved = caller.changes.save_annotations(jobs, body.get("shapes") or [], body.get("tags") or [], "replace")
        return VndJson(saved)

    @api.patch("/{collection}/{number}/annotations")
    async def change_annotations(collection: str, number: int, request: Request) -> VndJson:
        """Create, update or delete some shapes."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        action = request.query_params.get("action")
        if action not in ("create", "update", "delete"):
            raise Problem(400, {"detail": "action must be create, update or delete"})
        shapes, tags = body.get("shapes") or [], body.get("tags") or []
        with store.transaction():
            jobs = [j for j in _jobs_of(caller, collection, number) if _touches(j, [*shapes, *tags])]
            saved = caller.changes.save_annotations(jobs, shapes, tags, action)
        return VndJson({k: saved[k] for k in ("version", "tags", "shapes", "tracks")})

    @api.get("/issues")
    def issues(request: Request) -> VndJson:
        """Issues of a task or job."""
        caller = sandbox.caller(request)
        query = request.query_params
        found = store.all("issue")
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
        task_ = caller.need("task", where["task_id"])
        when = now()
        base = {"owner": caller.user["id"], "created_date": when, "updated_date": when}
        with store.transaction():
            fields = {k: body.get(k) for k in ("job", "frame", "position")}
            issue = store.put("issue", {"id": store.next_id("issue"), **fields, **base, "resolved": False})
            caller.changes.fire(task_["project_id"], "create:issue", "issue", caller.views.issue(issue))
            comment = {"id": store.next_id("comment"), "issue": issue["id"], "message": body["message"], **base}
            store.put("comment", comment)
            caller.changes.fire(task_["project_id"], "create:comment", "comment", caller.views.comment(comment))
        return VndJson(caller.views.issue(issue), 201)

    @api.get("/comments")
    def comments(request: Request) -> VndJson:
        """Comments of an issue."""
        caller = sandbox.caller(request)
        found = store.all("comment")
        if "issue_id" in request.query_params:
            found = [c for c in found if c["issue"] == int(request.query_params["issue_id"])]
        return paged(request, found, caller.views.comment)

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


def _named(items: list[Document], request: Request) -> list[Document]:
    query = request.query_params
    if "name" in query:
        items = [item for item in items if item["name"] == query["name"]]
    if "search" in query:
        items = [item for item in items if query["search"].lower() in item["name"].lower()]
    return items


def _project_of(sandbox: Sandbox, query: Any) -> int | None:
    if "project_id" in query:
        return int(query["project_id"])
    task_id = int(query["task_id"]) if "task_id" in query else None
    if "job_id" in query:
        task_id = (sandbox.store.get("job", int(query["job_id"])) or {}).get("task_id")
    return (sandbox.store.get("task", task_id) or {}).get("project_id") if task_id else None


def _jobs_of(caller: Any, collection: str, number: int) -> list[Document]:
    if collection not in ("tasks", "jobs"):
        raise Problem(404, {"detail": "Not found."})
    found = caller.need(COLLECTION[collection], number)
    if collection == "jobs":
        return [found]
    return [j for j in caller.store.all("job", task_id=number) if j["type"] == "annotation"]


def _touches(job: Document, shapes: list[Document]) -> bool:
    return any(job["start_frame"] <= s["frame"] <= job["stop_frame"] for s in shapes)
