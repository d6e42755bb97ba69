"""CVAT behind one small client: projects, webhooks, review tasks, reading back. Through cvat-sdk only."""

from __future__ import annotations

from resources.cvat.client import CvatClient
from resources.cvat.errors import CvatRefused, CvatUnavailable
from resources.cvat.tasks import Picture, ReviewedJob, ReviewedTask, ReviewTask

__all__ = ["CvatClient", "CvatRefused", "CvatUnavailable", "Picture", "ReviewTask", "ReviewedJob", "ReviewedTask"]
