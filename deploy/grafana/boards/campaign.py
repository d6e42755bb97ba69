"""Campaign progress: where every batch is, what it waits for, when all is done and what that costs."""

from __future__ import annotations

from typing import Any

from deploy.grafana import board, panels
from deploy.grafana.ask import ask
from deploy.grafana.panels import BAD, CALM, FAIR, GOOD

WAIT = ((None, CALM), (48, FAIR), (120, BAD))
CVAT = {"gate": ("Open in CVAT", "${__data.fields.url}")}


def build() -> Any:
    """The dashboard."""
    says = "Where every batch is, when it will be done, and what it costs."
    made = board.board("reefline-campaign", "Campaign progress", says)
    for variable in (board.survey(), board.pseudonyms(), board.hour_cost()):
        made = made.with_variable(variable)
    totals, left, queue = ask("campaign_totals"), ask("finish"), ask("queue_age")
    for panel in (
        panels.number(totals.only("photos", title="Photos")),
        panels.number(totals.only("batches", title="Batches")),
        panels.number(totals.only("batches_done", title="Batches done"), steps=((None, GOOD),)),
        panels.number(totals.only("objects", title="Colonies outlined")),
        panels.number(totals.only("hours", title="Hours of people so far"), unit="h"),
        panels.number(left.only("sum(hours_left) AS hours", title="Hours of people left"), unit="h", decimals=1),
        panels.rows(left, span=12, height=6, units=dict.fromkeys(("hours_left", "low", "high", "pace_a_day"), "h")),
        panels.gauges(queue.only("gate", "oldest_hours", title="Longest wait by gate"), unit="h", span=12, height=6,
                      steps=WAIT),
        panels.rows(ask("campaign"), height=12, units={"hours_waiting": "h"}, shares=("progress",),
                    colored={"hours_waiting": WAIT, "failed": ((None, CALM), (1, FAIR))}),
        panels.rows(ask("queue"), height=8, units={"hours_waiting": "h"}, links=CVAT, hidden=("url",),
                    colored={"hours_waiting": WAIT}),
        panels.lines(ask("throughput_weeks").only("time", "gate", "pictures_per_hour", order="time, gate"),
                     unit="none"),
        panels.rows(ask("throughput"), span=12, height=8, units={"hours": "h", "minutes_per_picture": "m",
                                                                 "seconds_per_object": "s"}),
        panels.rows(ask("gate_latency"), span=12, units=dict.fromkeys(
            ("median_hours", "p95_hours", "mean_hours", "hours_of_work"), "h") | {"work_share": "percentunit"}),
        panels.rows(ask("forecast").only("survey", "gate", "open_reviews", "pictures_left", "minutes_per_picture",
                                         "hours_left", "low", "high", "cost", "basis", title="Left in open reviews"),
                    span=12, units=dict.fromkeys(("hours_left", "low", "high"), "h") | {"minutes_per_picture": "m"}),
        panels.rows(ask("cost"), span=24, height=8, units={"hours": "h"}),
    ):  # fmt: skip
        made = made.with_panel(panel)
    return made
