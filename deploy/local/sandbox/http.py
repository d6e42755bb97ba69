"""What all routes share: who asks, CVAT's errors, pages of lists, filters."""

from __future__ import annotations

import hashlib
import json
import operator
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from deploy.local.sandbox.changes import Changes
from deploy.local.sandbox.hooks import Deliverer
from deploy.local.sandbox.rights import Rights
from deploy.local.sandbox.sources import Sources
from deploy.local.sandbox.store import Document, Store, now
from deploy.local.sandbox.views import Views

MEDIA_TYPE = "application/vnd.cvat+json"
PAGE_SIZE, MAX_PAGE_SIZE = 10, 500
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


class Problem(Exception):
    """An error answer, with CVAT's status and body."""

    def __init__(self, status: int, body: Any) -> None:
        """Answer with ``status`` and ``body``."""
        super().__init__(str(body))
        self.status = status
        self.body = body


class VndJson(JSONResponse):
    """JSON with CVAT's media type."""

    media_type = MEDIA_TYPE


@dataclass(frozen=True, slots=True)
class Caller:
    """One request's view of the sandbox."""

    store: Store
    views: Views
    changes: Changes
    user: Document
    rights: Rights
    workspace: Document | None = None
    """The organization whose things the request is about, given by the header ``X-Organization`` or ``org``."""
    scoped: bool = False
    """Whether the request says which organization it is about; the personal workspace is one, too."""

    def within(self, items: Sequence[Document], field: str = "organization") -> list[Document]:
        """Those that belong to the organization that the request is about."""
        wanted = self.workspace["id"] if self.workspace else None
        return [item for item in items if item.get(field) == wanted] if self.scoped else list(items)

    def seen(self, items: Sequence[Document], allowed: Callable[[Document], bool]) -> list[Document]:
        """Those that the user may see."""
        return list(items) if self.rights.everything else [item for item in items if allowed(item)]

    def allow(self, answer: bool) -> None:
        """Go on only if the user is an administrator or the answer is yes.

        Raises:
            Problem: 403, as CVAT says it.
        """
        if not (self.rights.everything or answer):
            raise Problem(403, {"detail": "You do not have permission to perform this action."})

    def need(self, kind: str, number: int) -> Document:
        """A document.

        Raises:
            Problem: 404, as CVAT says it.
        """
        found = self.store.get(kind, number)
        if found is None:
            raise Problem(404, {"detail": f"No {kind.capitalize()} matches the given query."})
        return found


class Sandbox:
    """The sandbox's parts, and how a request finds them."""

    def __init__(self, store: Store, deliverer: Deliverer, sources: Sources) -> None:
        """Serve ``store``, deliver by ``deliverer``, find pictures by ``sources``."""
        self.sources = sources
        self.store = store
        self.deliverer = deliverer

    def exports(self, number: str) -> Path:
        """The file of an export, by the id of its request."""
        folder = self.store.folder / "exports"
        folder.mkdir(exist_ok=True)
        return folder / _digest(number)

    def caller(self, request: Request) -> Caller:
        """Who asks.

        Raises:
            Problem: 401 without a valid token.
        """
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        given = token if kind in ("Token", "Bearer") else request.cookies.get("sessionid", "")
        found = self.store.all("token", digest=_digest(given)) if given else []
        if not found:
            raise Problem(401, {"detail": "Authentication credentials were not provided."})
        user = self.store.get("user", int(found[0]["user"])) or {}
        views = Views(self.store, f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}")
        rights = Rights(self.store, user)
        slug = request.query_params.get("org", request.headers.get("x-organization"))
        if request.query_params.get("org_id"):
            slug = (self.store.get("organization", int(request.query_params["org_id"])) or {}).get("slug", "?")
        workspace = self._workspace(slug, rights) if slug else None
        changes = Changes(self.store, views, user, self.deliverer.queue, workspace["id"] if workspace else None)
        return Caller(self.store, views, changes, user, rights, workspace, slug is not None)

    def _workspace(self, slug: str, rights: Rights) -> Document:
        found = self.store.all("organization", slug=slug)
        if not found:
            raise Problem(404, {"detail": f"{slug} organization does not exist."})
        if not rights.everything and rights.role(found[0]["id"]) < 0:
            raise Problem(403, {"detail": "You do not have permission to perform this action."})
        return found[0]

    def add_user(
        self, username: str, password: str, *, admin: bool = False, names: dict[str, str] | None = None
    ) -> Document:
        """A user, new or with a new password."""
        known = self.store.all("user", username=username)
        salt = secrets.token_hex(8)
        new: Document = {"date_joined": now(), "last_login": None}
        user = known[0] if known else {"id": self.store.next_id("user"), **new}
        user |= {"username": username, "salt": salt, "password": _digest(salt + password), "is_active": True}
        user |= {"is_staff": admin, "is_superuser": admin, "groups": ["admin" if admin else "user"]}
        for name in ("first_name", "last_name", "email"):
            user[name] = (names or {}).get(name, user.get(name, ""))
        return self.store.put("user", user)

    def login(self, username: str, password: str) -> str:
        """A new token for a user.

        Raises:
            Problem: 400, as CVAT says it.
        """
        known = self.store.all("user", username=username)
        if not known or known[0]["password"] != _digest(known[0]["salt"] + password):
            raise Problem(400, {"non_field_errors": ["Unable to log in with provided credentials."]})
        token = secrets.token_hex(20)
        self.store.put("token", {"id": self.store.next_id("token"), "digest": _digest(token), "user": known[0]["id"]})
        self.store.put("user", {**known[0], "last_login": now()})
        return token


async def body_of(request: Request) -> Document:
    """A request's JSON object.

    Raises:
        Problem: 400 for anything else.
    """
    raw = await request.body()
    try:
        body = json.loads(raw) if raw else {}
    except ValueError as error:
        raise Problem(400, {"detail": f"JSON parse error - {error}"}) from error
    if not isinstance(body, dict):
        raise Problem(400, {"non_field_errors": ["Invalid data. Expected a dictionary."]})
    return body


def required(body: Document, *names: str) -> None:
    """Refuse a body without these fields.

    Raises:
        Problem: 400, as CVAT says it.
    """
    missing = {name: ["This field is required."] for name in names if name not in body}
    if missing:
        raise Problem(400, missing)


def named(items: Sequence[Document], request: Request) -> list[Document]:
    """Those of the name, or with the words in it, that the query asks for."""
    query = request.query_params
    if "name" in query:
        items = [item for item in items if item["name"] == query["name"]]
    return [item for item in items if query.get("search", "").lower() in item["name"].lower()]


def paged(
    request: Request, items: Sequence[Document], write: Callable[[Document], Document], *, oldest_first: bool = False
) -> VndJson:
    """A page of a list, newest first unless asked otherwise, filtered as the query says."""
    query = request.query_params
    wanted = [item for item in items if _matches(item, query.get("filter"))]
    wanted = sorted(wanted, key=lambda item: item["id"], reverse=not oldest_first)
    size = min(int(query.get("page_size", PAGE_SIZE)), MAX_PAGE_SIZE)
    page = int(query.get("page", 1))
    if page < 1 or (page > 1 and (page - 1) * size >= len(wanted)):
        raise Problem(404, {"detail": "Invalid page."})
    shown = wanted[(page - 1) * size : page * size]
    more = page * size < len(wanted)
    return VndJson(
        {
            "count": len(wanted),
            "next": str(request.url.include_query_params(page=page + 1)) if more else None,
            "previous": str(request.url.include_query_params(page=page - 1)) if page > 1 else None,
            "results": [write(item) for item in shown],
        }
    )


def _matches(item: Document, text: str | None) -> bool:
    if not text:
        return True
    try:
        return _logic(json.loads(text), item)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Problem(400, {"detail": f"the filter cannot be read: {error}"}) from error


def _logic(rule: Any, item: Document) -> bool:
    """The part of JSON logic that CVAT's lists are asked with."""
    [(name, arguments)] = rule.items()
    if name == "and":
        return all(_logic(part, item) for part in arguments)
    if name == "or":
        return any(_logic(part, item) for part in arguments)
    if name == "!":
        return not _logic(arguments, item)
    left, right = (item.get(a["var"]) if isinstance(a, dict) else a for a in arguments)
    if name == "in":
        return left in (right or [])
    if left is None and name not in ("==", "!="):
        return False
    return _COMPARE[name](left, right)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
