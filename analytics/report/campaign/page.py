"""The page: which questions it asks, what it needs of them, and how its sections stand together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from analytics.alerts import ALERTS, Alert
from analytics.report.batch import templates
from analytics.report.campaign.boxes import Rows, written
from analytics.report.campaign.operations import models, pipeline
from analytics.report.campaign.progress import campaign
from analytics.report.campaign.work import people, science

QUESTIONS: Final = (
    "campaign", "campaign_totals", "finish", "queue", "throughput", "throughput_weeks", "gate_latency", "cost",
    "worktime_people", "worktime_days", "worktime_gates", "worktime_places", "people_pace", "people_quality",
    "models", "models_saved", "quality_trend", "time_per_class",
    "webhooks", "dead_letters", "runs", "runs_days", "failures", "failed_pictures", "stage_latency", "gpu", "heartbeat",
    "intake", "exceptions", "cover_total", "cover_years",
    *(alert.question for alert in ALERTS),
)  # fmt: skip
"""Names of the questions whose answers the page shows."""


@dataclass(frozen=True, slots=True)
class CampaignReport:
    """What a report is made of.

    Attributes:
        answers: rows by the name of the question, for all of :data:`QUESTIONS`.
        made_at: when they were asked (UTC).
        survey: the survey it is about; empty: all.
        since: start of the period (UTC), or None: from the beginning.
        until: end of the period (UTC), or None: until now.
        pseudonyms: whether people were asked for under pseudonyms; said on the page.
        hour_cost: what an hour of an annotator costs; 0: unknown, and no cost is shown.
    """

    answers: Mapping[str, Rows]
    made_at: datetime
    survey: str = ""
    since: datetime | None = None
    until: datetime | None = None
    pseudonyms: bool = True
    hour_cost: float = 0.0


def campaign_report(given: CampaignReport) -> bytes:
    """The report as one HTML file with everything in it; equal inputs give equal bytes."""
    sections = [
        campaign(given.answers, given.hour_cost),
        people(given.answers),
        models(given.answers),
        pipeline(given.answers),
        science(given.answers),
    ]
    firing = [line for alert in ALERTS for line in _firing(alert, given.answers[alert.question])]
    page = templates().get_template("campaign.html")
    return page.render(
        given=given,
        period=_period(given),
        sections=sections,
        firing=firing,
        made_at=f"{given.made_at:%d %B %Y, %H:%M} UTC",
    ).encode("utf-8")


def _firing(alert: Alert, rows: Rows) -> list[dict[str, Any]]:
    """What is above the threshold, in words."""
    found = []
    for row in rows:
        *what, value = row.values()
        if value is not None and float(value) > alert.above:
            text = alert.summary.format(what=" ".join(written(part) for part in what), value=written(value))
            found.append({"text": text, "remedy": alert.remedy, "severity": alert.severity})
    return found


def _period(given: CampaignReport) -> str:
    since = f"from {given.since:%d %B %Y}" if given.since else "from the beginning"
    until = f"to {given.until:%d %B %Y}" if given.until else "until now"
    return f"{since} {until}"
