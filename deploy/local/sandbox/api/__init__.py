"""The REST routes, by what they are about. Those that carry pictures are in ``media``."""

from __future__ import annotations

from fastapi import APIRouter

from deploy.local.sandbox.api.accounts import accounts_routes
from deploy.local.sandbox.api.annotations import annotations_routes
from deploy.local.sandbox.api.assets import assets_routes
from deploy.local.sandbox.api.backups import backups_routes
from deploy.local.sandbox.api.catalog import catalog_routes
from deploy.local.sandbox.api.clouds import clouds_routes
from deploy.local.sandbox.api.events import events_routes
from deploy.local.sandbox.api.exports import exports_routes
from deploy.local.sandbox.api.issues import comments_routes, issues_routes
from deploy.local.sandbox.api.jobs import jobs_routes
from deploy.local.sandbox.api.labels import guides_routes, labels_routes
from deploy.local.sandbox.api.organizations import organizations_routes
from deploy.local.sandbox.api.quality import quality_routes
from deploy.local.sandbox.api.reports import reports_routes
from deploy.local.sandbox.api.tasks import tasks_routes
from deploy.local.sandbox.api.trouble import trouble_routes
from deploy.local.sandbox.api.validation import validation_routes
from deploy.local.sandbox.api.webhooks import webhooks_routes
from deploy.local.sandbox.http import Sandbox

PARTS = (
    accounts_routes,
    organizations_routes,
    catalog_routes,
    labels_routes,
    guides_routes,
    assets_routes,
    clouds_routes,
    events_routes,
    tasks_routes,
    jobs_routes,
    validation_routes,
    annotations_routes,
    issues_routes,
    comments_routes,
    backups_routes,
    exports_routes,
    webhooks_routes,
    quality_routes,
    reports_routes,
    trouble_routes,
)
"""The order matters: a fixed address stands before one with a name in its place."""


def routes(sandbox: Sandbox) -> APIRouter:
    """All of them."""
    api = APIRouter()
    for part in PARTS:
        api.include_router(part(sandbox))
    return api
