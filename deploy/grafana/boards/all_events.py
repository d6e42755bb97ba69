"""CVAT's 'All events', repaired: the curve keeps to all filters, and the table shows no e-mail or token."""

from __future__ import annotations

from typing import Any

from deploy.grafana import board, panels
from deploy.grafana.ask import Ask
from deploy.grafana.boards import cvat

FILTERS = ("scopes", "sources", *cvat.PEOPLE)


def build() -> Any:
    """The dashboard."""
    made = board.board("reefline-all-events", "CVAT: All events", "Every event of CVAT's log.", since="now-7d")
    for variable in cvat.variables(*FILTERS):
        made = made.with_variable(variable)
    for panel in (_activity(), _events(), _share("Browser", "name", "version"), _share("System", "os")):
        made = made.with_panel(panel)
    return made


def _activity() -> Any:
    sql = f"""SELECT $__timeInterval(timestamp) AS time, source, count() AS events
FROM events
WHERE $__timeFilter(timestamp){cvat.chosen(*FILTERS)}
GROUP BY time, source
ORDER BY time, source"""
    return panels.columns(Ask("Overall activity", "Events by source, under the filters above.", sql), span=24, height=7)


def _events() -> Any:
    sql = f"""SELECT timestamp, scope, source, user_id, {cvat.NAME} AS user_name, project_id, task_id, job_id,
    obj_name, obj_id, obj_val, count, duration, org_slug, way, if(${{pseudonyms}} = 1, NULL, payload) AS payload
FROM events
WHERE $__timeFilter(timestamp){cvat.chosen(*FILTERS)}
ORDER BY timestamp DESC
LIMIT 1000"""
    ask = Ask("All events", "The newest thousand under the filters above; 'way' is how an event came here.", sql)
    return panels.rows(ask, height=18, units={"duration": "ms"}, widths={"timestamp": 170})


def _share(title: str, *keys: str) -> Any:
    parts = ", ' ', ".join(f"JSON_VALUE(payload, '$.platform.{key}')" for key in keys)
    label = f"concat({parts})" if len(keys) > 1 else parts
    sql = f"""SELECT trim({label}) AS label, uniqExact(user_id) AS people
FROM events
WHERE scope = 'load:cvat' AND $__timeFilter(timestamp)
GROUP BY label
HAVING label != ''
ORDER BY people DESC"""
    return panels.bars(Ask(title, "People who opened CVAT with it.", sql), "label", span=12, height=6, lying=True)
