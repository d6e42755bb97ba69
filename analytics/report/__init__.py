"""Reports people look at: one self-contained HTML file per batch and per release, readable offline.

Belongs here: pages, their charts and overlays, as bytes. Stays out: measuring (``analytics.quality``,
``analytics.cover``), where files lie, Dagster.
"""

from __future__ import annotations

from analytics.report.batch import BatchReport, GatePixels, Picture, batch_report

__all__ = ["BatchReport", "GatePixels", "Picture", "batch_report"]
