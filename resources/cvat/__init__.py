"""CVAT behind one small client: projects, webhooks, review tasks, reading back. Through cvat-sdk only."""

from __future__ import annotations

from resources.cvat.client import CvatClient
from resources.cvat.errors import CvatRefused, CvatUnavailable
from resources.cvat.tasks import (
    Copies,
    Honeypots,
    Issue,
    Layout,
    Picture,
    ReviewedJob,
    ReviewedTask,
    ReviewTask,
    StoredPictures,
    Validation,
)

__all__ = [
    "Copies",
    "CvatClient",
    "CvatRefused",
    "CvatUnavailable",
    "Honeypots",
    "Issue",
    "Layout",
    "Picture",
    "ReviewTask",
    "ReviewedJob",
    "ReviewedTask",
    "StoredPictures",
    "Validation",
]
