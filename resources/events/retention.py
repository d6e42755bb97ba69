"""How long events of people are kept: by the installation (a TTL of the table), and shorter where a survey wants it."""

from __future__ import annotations

from resources.clickhouse import Session

_EXPIRED = """
timestamp < now() - toIntervalDay({days:UInt32}) AND task_id IN
(
    SELECT toUInt64(task_id) FROM reviews FINAL
    WHERE task_id > 0 AND batch IN (SELECT batch FROM batches FINAL WHERE keep_days = {days:UInt32})
)
"""


def keep_events_for(session: Session, days: int) -> None:
    """Let ClickHouse delete events that are older; 0: never. Working time that was computed from them stays."""
    made = str(session.value("SELECT create_table_query FROM system.tables WHERE name = 'events' "
                             "AND database = currentDatabase()"))  # fmt: skip
    # Changing a TTL rewrites parts: not without need.
    if days and f"toIntervalDay({days})" not in made:
        session.command(f"ALTER TABLE events MODIFY TTL toDateTime(timestamp) + toIntervalDay({days})")
    elif not days and " TTL " in made:
        session.command("ALTER TABLE events REMOVE TTL")


def delete_expired(session: Session) -> int:
    """Delete events of tasks whose survey keeps them for a shorter time; how many there were."""
    asked = session.query("SELECT DISTINCT keep_days AS days FROM batches FINAL WHERE keep_days > 0")["days"]
    deleted = 0
    for days in asked.to_pylist():
        number = int(session.value(f"SELECT count() FROM events WHERE {_EXPIRED}", {"days": days}))  # noqa: S608
        if number:
            session.command(f"ALTER TABLE events DELETE WHERE {_EXPIRED} SETTINGS mutations_sync = 2", {"days": days})
            deleted += number
    return deleted
