"""The dashboards, one module each: ``build()`` gives a dashboard. CVAT's three first, repaired; then five of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from deploy.grafana.boards import all_events, campaign, management, models, monitoring, people, pipeline, science

BOARDS: Final[Mapping[str, Callable[[], Any]]] = {
    "cvat-all-events": all_events.build,
    "cvat-management": management.build,
    "cvat-monitoring": monitoring.build,
    "campaign": campaign.build,
    "people": people.build,
    "models": models.build,
    "pipeline": pipeline.build,
    "science": science.build,
}
"""File name without ``.json`` -> what makes it."""

__all__ = ["BOARDS"]
