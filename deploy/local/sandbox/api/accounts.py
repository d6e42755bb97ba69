"""Routes for the server itself, logins and users."""

from __future__ import annotations

from fastapi import APIRouter, Request

from deploy.local.sandbox.hooks import VERSION
from deploy.local.sandbox.http import Problem, Sandbox, VndJson, body_of, paged, required


def accounts_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
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
        query = request.query_params
        found = [u for u in store.all("user") if query.get("username", u["username"]) == u["username"]]
        found = [u for u in found if query.get("search", "").lower() in u["username"].lower()]
        return paged(request, found, caller.views.user)

    @api.get("/users/self")
    def myself(request: Request) -> VndJson:
        """Who asks."""
        caller = sandbox.caller(request)
        return VndJson(caller.views.user(caller.user))

    return api
