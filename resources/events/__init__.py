"""CVAT's events on their way into ClickHouse: a buffer on disk, the loader, and the ways by which events come.

Belongs here: what touches disk, CVAT or ClickHouse for events. Stays out: reading formats (``analytics.events``), HTTP
(``sensors.sink``), Dagster.
"""

from __future__ import annotations

from resources.events.load import Loaded, LoadSettings, load_events
from resources.events.people import forget
from resources.events.spool import Spool, SpoolFullError
from resources.events.worktime import compare_worktime, cvat_time, refresh_worktime

__all__ = [
    "LoadSettings",
    "Loaded",
    "Spool",
    "SpoolFullError",
    "compare_worktime",
    "cvat_time",
    "forget",
    "load_events",
    "refresh_worktime",
]
