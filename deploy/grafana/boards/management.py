"""CVAT's 'Management', repaired: working time outside jobs is shown, both readings stand side by side.

CVAT's own table drops every row without a task or job and reads working time out of JSON at each look.
"""

from __future__ import annotations

from typing import Any

from deploy.grafana import board, panels
from deploy.grafana.ask import Ask
from deploy.grafana.boards import cvat


def build() -> Any:
    """The dashboard."""
    made = board.board("reefline-management", "CVAT: Management", "Who has worked on what, by CVAT's log.")
    for variable in cvat.variables(*cvat.PEOPLE):
        made = made.with_variable(variable)
    for panel in (_by_person(), _overall(), _working_time()):
        made = made.with_panel(panel)
    return made


def _by_person() -> Any:
    sql = f"""SELECT $__timeInterval(timestamp) AS time,
    ifNull(if(${{pseudonyms}} = 1, concat('user ', toString(user_id)), user_name), 'nobody') AS person,
    count() AS events
FROM events
WHERE $__timeFilter(timestamp){cvat.chosen(*cvat.PEOPLE)}
GROUP BY time, person
ORDER BY time, person"""
    ask = Ask("User activity", "Events by person, under the filters above.", sql)
    return panels.columns(ask, span=24, height=9)


def _overall() -> Any:
    sql = f"""SELECT $__timeInterval(timestamp) AS time, count() AS events
FROM events
WHERE $__timeFilter(timestamp){cvat.chosen(*cvat.PEOPLE)}
GROUP BY time
ORDER BY time"""
    return panels.columns(Ask("Overall activity", "All events under the filters above.", sql), span=24, height=7)


def _working_time() -> Any:
    sql = f"""SELECT user_id, if(${{pseudonyms}} = 1, any(pseudonym), any(user_name)) AS person,
    project_id, task_id, job_id, any(place) AS where_to,
    sum(reported_ms) / 3600000 AS cvat_booked, sum(cvat_ms) / 3600000 AS cvat_again, sum(ours_ms) / 3600000 AS ours,
    sum(thinking_ms) / 3600000 AS thinking, sum(inside_ms + frames_ms) / 3600000 AS inside_events,
    sum(repeated_ms) / 3600000 AS booked_twice, sum(events) AS activity
FROM worktime_named
WHERE day >= toDate($__fromTime) AND day <= toDate($__toTime)\
{cvat.chosen("users", "projects", "tasks", "jobs")}
GROUP BY user_id, project_id, task_id, job_id
ORDER BY ours DESC"""
    says = (
        "cvat_booked: what CVAT's server has booked; cvat_again: its algorithm over the ordered events of the person; "
        "ours: union of intervals, with capped thinking time. The columns after it explain most of the difference."
    )
    hours = ("cvat_booked", "cvat_again", "ours", "thinking", "inside_events", "booked_twice")
    return panels.rows(Ask("Working time", says, sql), height=13, units=dict.fromkeys(hours, "h"))
