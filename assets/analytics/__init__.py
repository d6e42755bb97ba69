"""``analytics/*``: the platform's tables in ClickHouse, unpartitioned. Filling them again changes nothing.

Belongs here: one asset per table, and their checks. The SQL is in ``analytics/``, loading of events in
``resources.events``.
"""

from assets.analytics.checks import events_accounted_for, row_count_checks, worktime_is_cvats
from assets.analytics.people import analytics_events, analytics_worktime
from assets.analytics.platform import analytics_deliveries, analytics_models, analytics_runs
from assets.analytics.stages import (
    analytics_batches,
    analytics_cover,
    analytics_images,
    analytics_objects,
    analytics_quality,
    analytics_reviews,
)

__all__ = [
    "analytics_batches",
    "analytics_cover",
    "analytics_deliveries",
    "analytics_events",
    "analytics_images",
    "analytics_models",
    "analytics_objects",
    "analytics_quality",
    "analytics_reviews",
    "analytics_runs",
    "analytics_worktime",
    "events_accounted_for",
    "row_count_checks",
    "worktime_is_cvats",
]
