"""Forgetting a person: their events, working time and name go, and they do not come back with the next load."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from resources.clickhouse import Session

FORGOTTEN = "forgotten"


class UnknownPersonError(ValueError):
    """Nobody of this name or id is known; the message says so."""


def forget(session: Session, who: str) -> dict[str, int]:
    """Delete what is known of a person.

    Args:
        session: of a database whose schema is up to date.
        who: CVAT's user name or user id.

    Returns:
        Number of rows touched, by table.

    Raises:
        UnknownPersonError: there is nobody like that.
        ClickHouseRefused: the user of the connection may not delete.
    """
    with session.explained():
        ids, names = _find(session, who)
        touched: dict[str, int] = {}
        session.command(
            "INSERT INTO forgotten (user_id, name_hash) "
            "SELECT arrayJoin({ids:Array(UInt64)}), lower(hex(SHA256(arrayJoin({names:Array(String)}))))",
            {"ids": ids, "names": names or [""]},
        )
        for table in ("events", "worktime", "people"):
            touched[table] = _delete(session, table, "user_id IN {ids:Array(UInt64)}", {"ids": ids})
        _delete(session, "worktime_reach", "person IN {ids:Array(UInt64)}", {"ids": ids})
        for name in names:
            touched |= {table: touched.get(table, 0) + n for table, n in _unname(session, name).items()}
    return touched


def without_forgotten(session: Session, rows: Sequence[dict[str, Any]], *columns: str) -> Sequence[dict[str, Any]]:
    """Rows with the names of people who asked to be forgotten taken out, in place.

    Args:
        session: of the database that knows who asked.
        rows: of any table.
        columns: that hold a user name, or a list of them.
    """
    hashes = set(session.query("SELECT DISTINCT name_hash FROM forgotten")["name_hash"].to_pylist())
    if hashes:
        for row in rows:
            for column in columns:
                value = row[column]
                many = [_hidden(name, hashes) for name in value] if isinstance(value, list) else None
                row[column] = _hidden(value, hashes) if many is None else many
    return rows


def _hidden(name: str, hashes: Collection[str]) -> str:
    return FORGOTTEN if name and hashlib.sha256(name.encode()).hexdigest() in hashes else name


def _find(session: Session, who: str) -> tuple[list[int], list[str]]:
    found = session.query(
        """
        SELECT DISTINCT user_id AS id, ifNull(user_name, '') AS name FROM events
        WHERE user_id IS NOT NULL AND (user_name = {who:String} OR toString(user_id) = {who:String})
        UNION DISTINCT
        SELECT user_id AS id, user_name AS name FROM people FINAL
        WHERE user_name = {who:String} OR toString(user_id) = {who:String}
        """,
        {"who": who},
    ).to_pylist()
    if not found:
        raise UnknownPersonError(f"nobody named {who!r}, or with this id, is in the events")
    return sorted({row["id"] for row in found}), sorted({row["name"] for row in found if row["name"]})


def _unname(session: Session, name: str) -> dict[str, int]:
    """Take a name out of the rows that are about something else."""
    touched: dict[str, int] = {}
    values = {"name": name, "gone": FORGOTTEN, "quoted": f'"{name}"', "hidden": f'"{FORGOTTEN}"'}
    for table, column in (("objects", "annotator"), ("objects", "reviewer"), ("object_changes", "annotator")):
        # These columns are part of the sorting key, which ClickHouse does not update: the rows are written anew.
        touched[table] = touched.get(table, 0) + _rewrite(session, table, column, values)
    touched["quality"] = _delete(session, "quality", "who = {name:String}", values)
    touched["reviews"] = _update(
        session,
        "reviews",
        "waiting_for = arrayMap(x -> if(x = {name:String}, {gone:String}, x), waiting_for)",
        "has(waiting_for, {name:String})",
        values,
    )
    touched["events"] = _update(
        session,
        "events",
        "payload = replaceAll(payload, {quoted:String}, {hidden:String}), obj_name = if(obj_name = {name:String}, "
        "{gone:String}, obj_name), obj_val = if(obj_val = {name:String}, {gone:String}, obj_val)",
        "position(payload, {quoted:String}) > 0 OR obj_name = {name:String} OR obj_val = {name:String}",
        values,
    )
    touched["event_rejects"] = _delete(session, "event_rejects", "position(line, {name:String}) > 0", values)
    return touched


def _rewrite(session: Session, table: str, column: str, values: Mapping[str, Any]) -> int:
    columns = session.query(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String} "
        "AND default_kind NOT IN ('MATERIALIZED', 'ALIAS') ORDER BY position",
        {"table": table},
    )["name"].to_pylist()
    where = f"{column} = {{name:String}}"
    number = _count(session, table, where, values)
    if number:
        chosen = [f"{{gone:String}} AS {name}" if name == column else name for name in columns]
        session.command(
            f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608 - our own names
            f"SELECT {', '.join(chosen)} FROM (SELECT * FROM {table} WHERE {where})",
            values,
        )
        _delete(session, table, where, values)
    return number


def _count(session: Session, table: str, where: str, values: Mapping[str, Any]) -> int:
    return int(session.value(f"SELECT count() FROM {table} WHERE {where}", values))  # noqa: S608


def _delete(session: Session, table: str, where: str, values: Mapping[str, Any]) -> int:
    number = _count(session, table, where, values)
    if number:
        session.command(f"ALTER TABLE {table} DELETE WHERE {where} SETTINGS mutations_sync = 2", values)
    return number


def _update(session: Session, table: str, change: str, where: str, values: Mapping[str, Any]) -> int:
    number = _count(session, table, where, values)
    if number:
        session.command(f"ALTER TABLE {table} UPDATE {change} WHERE {where} SETTINGS mutations_sync = 2", values)
    return number
