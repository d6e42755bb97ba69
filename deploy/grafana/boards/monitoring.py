"""CVAT's 'Monitoring', repaired: active users keep to the period, durations have percentiles besides extremes."""

from __future__ import annotations

from typing import Any

from deploy.grafana import board, panels
from deploy.grafana.ask import Ask
from deploy.grafana.boards import cvat

FILTERS = ("sources", *cvat.PEOPLE)


def build() -> Any:
    """The dashboard."""
    says = "Is CVAT well: people, durations, exceptions."
    made = board.board("reefline-monitoring", "CVAT: Monitoring", says, since="now-7d", refresh="1m")
    for variable in cvat.variables(*FILTERS, "errors"):
        made = made.with_variable(variable)
    for panel in (_now(), _users(), _durations(), _counts(), _exceptions(), _exception_table()):
        made = made.with_panel(panel)
    return made


def _now() -> Any:
    sql = """SELECT uniqExact(user_id) AS "Active users (now)"
FROM events
WHERE user_id IS NOT NULL AND timestamp >= now() - INTERVAL 15 MINUTE"""
    return panels.number(Ask("Active users (now)", "In the last quarter of an hour.", sql), span=3)


def _users() -> Any:
    # Filled up to the ends of the period: a night without anybody is a zero, not a line from evening to morning.
    sql = """SELECT toStartOfInterval(toDateTime(timestamp), INTERVAL 15 MINUTE) AS time, uniqExact(user_id) AS users
FROM events
WHERE $__timeFilter(timestamp) AND user_id IS NOT NULL
GROUP BY time
ORDER BY time WITH FILL
    FROM toStartOfInterval($__fromTime, INTERVAL 15 MINUTE) TO $__toTime STEP INTERVAL 15 MINUTE"""
    return panels.lines(Ask("Active users", "People per quarter of an hour.", sql), span=21, height=7, points=False)


def _durations() -> Any:
    sql = f"""SELECT scope, source, count() AS events, quantile(0.5)(duration) AS median,
    quantile(0.95)(duration) AS p95, avg(duration) AS mean, max(duration) AS longest
FROM events
WHERE duration > 0 AND scope != 'send:working_time' AND $__timeFilter(timestamp){cvat.chosen(*FILTERS)}
GROUP BY scope, source
ORDER BY p95 DESC"""
    ask = Ask("Duration of events", "Without send:working_time, whose duration is people's time.", sql)
    return panels.rows(ask, span=12, height=8, units=dict.fromkeys(("median", "p95", "mean", "longest"), "ms"))


def _counts() -> Any:
    sql = f"""SELECT scope, source, count() AS events
FROM events
WHERE $__timeFilter(timestamp){cvat.chosen(*FILTERS)}
GROUP BY scope, source
ORDER BY events DESC"""
    return panels.rows(Ask("Number of events", "By scope and source.", sql), span=12, height=8)


def _exceptions() -> Any:
    sql = f"""SELECT $__timeInterval(timestamp) AS time, source, count() AS exceptions
FROM events
WHERE scope = 'send:exception' AND $__timeFilter(timestamp){cvat.chosen(*FILTERS, "errors")}
GROUP BY time, source
ORDER BY time, source"""
    return panels.columns(Ask("Exceptions", "Of pages (client) and of the server.", sql), span=24, height=7)


def _exception_table() -> Any:
    sql = f"""SELECT timestamp, source, user_id, {cvat.NAME} AS user_name, project_id, task_id, job_id,
    JSONExtractString(payload, 'message') AS error, JSONExtractString(payload, 'stack') AS stack
FROM events
WHERE scope = 'send:exception' AND $__timeFilter(timestamp){cvat.chosen(*FILTERS, "errors")}
ORDER BY timestamp DESC
LIMIT 1000"""
    ask = Ask("Exceptions table", "The newest thousand, with the place in the program.", sql)
    return panels.rows(ask, height=14, widths={"timestamp": 170, "user_id": 70, "source": 80})
