"""Pipeline health: webhooks lost and healed, queues, runs, signs of life, GPU, events on their way in."""

from __future__ import annotations

from typing import Any

from deploy.grafana import board, panels
from deploy.grafana.ask import ask
from deploy.grafana.panels import BAD, CALM, FAIR, GOOD

SILENT = ((None, GOOD), (30, FAIR), (90, BAD))
ANY = ((None, CALM), (1, BAD))
EVENTS = {"by_webhook": "blue", "lost_and_healed": "orange", "late": "yellow", "dead": "red"}
RUNS = {"succeeded": "green", "failed": "red", "unfinished": "blue", "canceled": "text"}


def build() -> Any:
    """The dashboard."""
    says = "Is the machine well: webhooks, queues, runs, signs of life, GPU."
    made = board.board("reefline-pipeline", "Pipeline health", says, since="now-30d", refresh="1m")
    made = made.with_variable(board.survey())
    hooks, intake = ask("webhooks"), ask("intake")
    for panel in _panels(hooks, intake):
        made = made.with_panel(panel)
    return made


def _panels(hooks: Any, intake: Any) -> list[Any]:
    return [
        panels.number(hooks.only("sum(lost_and_healed) AS n", title="Webhooks lost, healed"), steps=((None, FAIR),)),
        panels.number(hooks.only("sum(late) AS events", title="Webhooks late"), steps=((None, FAIR),)),
        panels.number(ask("dead_letters").only("count() AS letters", title="Dead letters"), steps=ANY),
        panels.number(intake.only("sum(unaccounted) AS events", title="CVAT events unaccounted for"), steps=ANY),
        panels.number(ask("failures").only("count() AS runs", title="Failed runs"), steps=((None, CALM), (1, FAIR))),
        panels.number(ask("queue_age").only("max(oldest_hours) AS hours", title="Oldest open review"), unit="h"),
        panels.rows(ask("heartbeat"), span=12, height=7, units={"minutes_ago": "m"}, colored={"minutes_ago": SILENT}),
        panels.columns(hooks.only("time", "by_webhook", "lost_and_healed", "late", "dead", order="time"), height=7,
                       colors=EVENTS),
        panels.lines(hooks.only("time", "median_delivery_s", "p95_until_answered_s", order="time",
                                title="Seconds until an event arrives, and until it is answered"), unit="s"),
        panels.columns(ask("runs_days"), colors=RUNS),
        panels.rows(ask("runs"), span=12, units=dict.fromkeys(("median_s", "p95_s", "p95_wait_s"), "s"),
                    colored={"failed": ANY}),
        panels.rows(ask("stage_latency"), span=12, units=dict.fromkeys(
            ("median_s", "p95_s", "median_wait_s", "p95_wait_s"), "s"), colored={"failed": ANY}),
        panels.columns(ask("gpu").only("time", "stage", "gpu_hours", order="time, stage"), unit="h"),
        panels.columns(intake.only("time", "sum(inserted) AS stored", "sum(duplicates) AS came_twice",
                                   "sum(rejected) AS refused",
                                   title="Events of CVAT taken in").grouped("time")),
        panels.rows(ask("failures"), span=12),
        panels.rows(ask("failed_pictures"), span=12),
        panels.rows(ask("dead_letters"), span=12),
        panels.rows(ask("rejects"), span=12),
        panels.rows(ask("exceptions"), span=12),
        panels.columns(ask("activity").only("time", "source", "happened", order="time, source")),
    ]  # fmt: skip
