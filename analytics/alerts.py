"""What deserves a person's attention: the thresholds that Grafana's alert rules and the HTML report share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule over the answer of a question: each row is one thing that may be wrong.

    Attributes:
        name: stable id.
        question: name in ``analytics.questions``. Its last column is the number; the others say which thing it is.
        above: the rule fires for rows whose number is greater.
        unit: of the number, for people.
        lasting: how long the number must stay there before anybody is called, as Grafana writes it.
        severity: ``page`` wakes somebody, ``ticket`` waits for the morning.
        summary: one line; ``{what}`` is the row's other columns, ``{value}`` its number.
        remedy: what to do.
    """

    name: str
    question: str
    above: float
    unit: str
    lasting: str
    severity: Literal["page", "ticket"]
    summary: str
    remedy: str


ALERTS: Final = (
    Alert(
        "stalled-gate", "alert_stalled_gates", 120, "h", "0s", "ticket",
        "{what} has waited {value} h for people",
        "Assign its jobs in CVAT, or ask who has them: 'reefline status' names them.",
    ),
    Alert(
        "lost-events", "alert_lost_events", 0, "events", "0s", "ticket",
        "{value} events of CVAT were not stored ({what})",
        "Rejected lines are kept with their reasons in the table event_rejects.",
    ),
    Alert(
        "lost-webhooks", "alert_lost_webhooks", 5, "events", "0s", "ticket",
        "{value} webhooks of the last day: {what}",
        "Nothing was lost, but answers came late: look at the receiver's log and at CVAT's list of deliveries.",
    ),
    Alert(
        "failed-batch", "alert_failed_batches", 0, "", "0s", "ticket",
        "the newest run of {what} has failed",
        "Read the run's error on the Dagster page; the batch goes on from there when it is rerun.",
    ),
    Alert(
        "dead-daemon", "alert_dead_daemons", 90, "min", "5m", "page",
        "{what} has been silent for {value} minutes",
        "Start it again; 'reefline doctor' says what it lacks.",
    ),
)  # fmt: skip
