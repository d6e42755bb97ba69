"""What CVAT's three dashboards share here: variables and the filter they make.

Repaired in all three: panels name no database; 'all' asks for everything instead of listing every id (which left out
rows without one); people are chosen once, by name or pseudonym, not twice by id and by name; lists of tasks and jobs
come from the roll-up of working time, not from all events; every panel keeps to the period and the filters on top.
"""

from __future__ import annotations

from typing import Any, Final

from deploy.grafana import board

_PERIOD = "$__timeFilter(timestamp)"
_DAYS = "day >= toDate($__fromTime) AND day <= toDate($__toTime)"

_QUERIES: Final = {
    "scopes": ("Scope", "SELECT DISTINCT scope FROM events_hourly WHERE $__timeFilter(hour) ORDER BY scope"),
    "sources": ("Source", "SELECT DISTINCT source FROM events_hourly WHERE $__timeFilter(hour) ORDER BY source"),
    "users": (
        "Person",
        "SELECT user_id, any(if(${pseudonyms} = 1, pseudonym, user_name)) AS person FROM worktime_named\n"
        f"WHERE {_DAYS} GROUP BY user_id ORDER BY person",
    ),
    "organizations": (
        "Organization",
        f"SELECT org_id, any(org_slug) FROM events WHERE {_PERIOD} AND org_id IS NOT NULL GROUP BY org_id",
    ),
    "projects": (
        "Project",
        f"SELECT DISTINCT project_id FROM worktime WHERE {_DAYS} AND project_id IS NOT NULL ORDER BY project_id",
    ),
    "tasks": (
        "Task",
        "SELECT task_id, any(if(batch = '', concat('task ', toString(task_id)), concat(batch, ' ', gate))) AS name\n"
        f"FROM worktime_named WHERE {_DAYS} AND task_id IS NOT NULL\n"
        "    AND $__conditionalAll(project_id IN (${projects:singlequote}), $projects)\nGROUP BY task_id ORDER BY name",
    ),
    "jobs": (
        "Job",
        f"SELECT DISTINCT job_id FROM worktime WHERE {_DAYS} AND job_id IS NOT NULL\n"
        "    AND $__conditionalAll(task_id IN (${tasks:singlequote}), $tasks) ORDER BY job_id",
    ),
    "errors": (
        "Error message",
        "SELECT DISTINCT JSONExtractString(payload, 'message') AS message FROM events\n"
        f"WHERE {_PERIOD} AND scope = 'send:exception' ORDER BY message",
    ),
}
_COLUMNS: Final = {
    "scopes": "scope",
    "sources": "source",
    "users": "user_id",
    "organizations": "org_id",
    "projects": "project_id",
    "tasks": "task_id",
    "jobs": "job_id",
    "errors": "JSONExtractString(payload, 'message')",
}

PEOPLE: Final = ("users", "organizations", "projects", "tasks", "jobs")
NAME: Final = "if(${pseudonyms} = 1, NULL, user_name)"
"""Under pseudonyms the number of a person is all that is shown."""


def variables(*names: str) -> list[Any]:
    """Privacy mode and the named variables."""
    return [board.pseudonyms(), *(board.each(name, *_QUERIES[name]) for name in names)]


def chosen(*names: str) -> str:
    """The filter that the named variables make, beginning with AND; a variable set to all takes no part."""
    return "".join(
        f"\n    AND $__conditionalAll({_COLUMNS[name]} IN (${{{name}:singlequote}}), ${name})" for name in names
    )
