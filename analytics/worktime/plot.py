"""Hours of people a day, as a picture for the asset's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from analytics.figures import new_figure, png


def hours_plot(days: Sequence[Mapping[str, Any]]) -> bytes:
    """Bars of hours a day, in jobs and outside of them, with what CVAT has booked as dots; a PNG.

    Args:
        days: rows of the question ``worktime_days``.
    """
    figure = new_figure(9.0, 3.2, dpi=110)
    panel = figure.subplots()
    at: Any = [_day(day["time"]) for day in days]
    inside = [day["hours_in_jobs"] for day in days]
    outside = [day["hours_outside_jobs"] for day in days]
    panel.bar(at, inside, color="#2a78b5", label="in jobs")
    panel.bar(at, outside, bottom=inside, color="#b9c4cc", label="outside jobs")
    panel.plot(at, [day["cvat_reported_hours"] for day in days], "o", ms=3, color="#c2571a", label="booked by CVAT")
    panel.set_ylabel("hours")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, ncols=3, fontsize=9)
    figure.autofmt_xdate()
    return png(figure)


def _day(value: Any) -> datetime:
    """ClickHouse's DateTime comes as seconds where a driver gives no date."""
    return value if isinstance(value, datetime) else datetime.fromtimestamp(int(value))  # noqa: DTZ006 - a label
