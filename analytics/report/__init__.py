"""Reports people look at: one self-contained HTML file per batch and per release, readable offline.

Belongs here: pages, their charts and overlays, as bytes. Stays out: measuring (``analytics.quality``,
``analytics.cover``), where files lie, Dagster.
"""

from __future__ import annotations

from analytics.report.batch import BatchReport, GatePixels, Picture, batch_report
from analytics.report.release import BatchLine, ReleaseReport, Worst, release_report

__all__ = [
    "BatchLine",
    "BatchReport",
    "GatePixels",
    "Picture",
    "ReleaseReport",
    "Worst",
    "batch_report",
    "release_report",
]
