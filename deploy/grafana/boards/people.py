"""People: working time by CVAT's reading and by ours, pace, agreement with the ground truth. Pseudonyms by default."""

from __future__ import annotations

from typing import Any

from deploy.grafana import board, panels
from deploy.grafana.ask import ask

HOURS = ("hours", "hours_outside_jobs", "cvat_hours", "cvat_reported_hours", "thinking_hours", "inside_hours",
         "frames_hours", "repeated_hours")  # fmt: skip
MILLISECONDS = ("ours_ms", "cvat_ms", "frames_ms", "inside_ms", "thinking_ms", "moved_ms", "reported_ms",
                "repeated_ms")  # fmt: skip


def build() -> Any:
    """The dashboard."""
    says = "Working time both ways, pace and agreement. Meant for planning, not for ranking people."
    made = board.board("reefline-people", "People", says)
    for variable in (board.survey(), board.pseudonyms()):
        made = made.with_variable(variable)
    people, days = ask("worktime_people"), ask("worktime_days")
    both = people.only("person", "hours AS ours", "cvat_hours AS cvat", "cvat_reported_hours AS cvat_booked",
                       title="Working time, three readings")  # fmt: skip
    agreement = (
        ask("people_quality")
        .only(
            "person",
            *(
                f"maxIf(mean_value, measure = '{name}') AS {name}"
                for name in ("accuracy", "precision", "recall", "mean_iou")
            ),
        )
        .grouped("person")
    )
    for panel in (
        panels.bars(both, "person", unit="h", colors={"ours": "blue", "cvat": "orange", "cvat_booked": "text"}),
        panels.columns(days.only("time", "hours_in_jobs", "hours_outside_jobs", order="time"), unit="h",
                       colors={"hours_in_jobs": "blue", "hours_outside_jobs": "light-blue"}),
        panels.rows(people, units=dict.fromkeys(HOURS, "h"), height=8),
        panels.rows(ask("worktime_gates"), span=10, height=10, units={"hours": "h", "cvat_hours": "h"}),
        panels.rows(ask("people_pace"), span=14, height=10, units={"hours": "h"}),
        panels.bars(agreement, "person", unit="percentunit", span=24, height=8),
        panels.rows(ask("worktime_places"), height=14, units=dict.fromkeys(MILLISECONDS, "ms"),
                    widths={"difference": 420}),
    ):  # fmt: skip
        made = made.with_panel(panel)
    return made
