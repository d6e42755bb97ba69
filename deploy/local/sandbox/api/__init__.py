"""The REST routes, by what they are about. Those that carry pictures are in ``media``."""

from __future__ import annotations

from fastapi import APIRouter

from deploy.local.sandbox.api.accounts import accounts_routes
from deploy.local.sandbox.api.catalog import catalog_routes
from deploy.local.sandbox.api.marks import marks_routes
from deploy.local.sandbox.api.webhooks import webhooks_routes
from deploy.local.sandbox.api.work import work_routes
from deploy.local.sandbox.http import Sandbox


def routes(sandbox: Sandbox) -> APIRouter:
    """All of them. The order matters: a fixed address stands before one with a name in its place."""
    api = APIRouter()
    for part in (accounts_routes, catalog_routes, work_routes, marks_routes, webhooks_routes):
        api.include_router(part(sandbox))
    return api
