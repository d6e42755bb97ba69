"""The code location: what exists, put together. ``build_defs`` is the seam for tests; nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import dagster as dg

from assets import (
    analytics,
    clean,
    colonies,
    corals,
    corners,
    cover,
    lattice,
    models,
    quality,
    raw,
    rectified,
    release,
)
from orchestration import health
from orchestration.executors import share_executor
from orchestration.jobs import make_release, shared_jobs, start_batch
from orchestration.schedules import all_schedules
from resources.bundle import build_resources
from resources.object_store import open_store
from resources.settings import Settings, load_settings
from resources.version_record import check_in
from sensors.failures import failures_sensor
from sensors.overdue import overdue_sensor
from sensors.releases import releases_sensor
from sensors.reviews import reviews_sensor
from sensors.surveys import surveys_sensor

MODULES: list[ModuleType] = [
    raw,
    corners,
    rectified,
    lattice,
    clean,
    corals,
    quality,
    cover,
    colonies,
    release,
    models,
    analytics,
    health,
]


def build_defs(settings: Settings | None = None, overrides: Mapping[str, object] | None = None) -> dg.Definitions:
    """Definitions of an installation.

    Args:
        settings: taken from the environment when not given.
        overrides: resources by name that replace the installation's own (tests).
    """
    settings = settings or load_settings()
    interval = settings.sensor_interval_s
    jobs, after = shared_jobs(settings.shares, share_executor(settings))
    assets = dg.load_assets_from_modules(MODULES)
    return dg.Definitions(
        assets=assets,
        asset_checks=dg.load_asset_checks_from_modules(MODULES),
        jobs=jobs,
        schedules=all_schedules(settings.reconcile_cron, settings.analytics_cron, settings.health_cron),
        sensors=[
            surveys_sensor(start_batch, interval),
            reviews_sensor(after, interval),
            releases_sensor(make_release, interval),
            failures_sensor(max(interval, 15), step_owners(assets)),
            overdue_sensor(settings.review_overdue_days),
        ],
        resources={**build_resources(settings), **(overrides or {})},
    )


def step_owners(assets: Iterable[Any]) -> dict[str, str]:
    """Whose matter a failed step is: the owner of its asset."""
    specs = [spec for asset in assets if isinstance(asset, dg.AssetsDefinition) for spec in asset.specs]
    return {"__".join(spec.key.path): spec.owners[0] for spec in specs if spec.owners}


@dg.definitions
def defs() -> dg.Definitions:
    """Entry point of the code location."""
    settings = load_settings()
    check_in(open_store(settings.store), first=False)
    return build_defs(settings)
