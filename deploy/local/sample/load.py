"""Writing the sample into an empty analytics database."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from deploy.local.sample.events import events
from deploy.local.sample.operations import operations
from deploy.local.sample.plan import plan
from deploy.local.sample.tables import tables
from resources.clickhouse import Session
from resources.events.worktime import refresh_worktime


class NotEmptyError(RuntimeError):
    """The database holds events already; the message says that the sample must not be mixed with them."""


def fill(session: Session, now: datetime | None = None) -> dict[str, int]:
    """Migrate an empty database and fill it with the sample.

    Args:
        session: of a database without events.
        now: the moment at which the story stands; the clock's when left out.

    Returns:
        Rows by table.

    Raises:
        NotEmptyError: there are events already.
    """
    session.migrate()
    if session.query("SELECT count() AS n FROM events")["n"][0].as_py():
        raise NotEmptyError("the database holds events already: the sample is invented and goes into an empty one")
    now = (now or datetime.now(UTC)).astimezone(UTC)
    batches = plan(now)
    log = events(batches, now)
    made = {"events": log, **tables(batches, now), **operations(batches, now, log)}
    for table, rows in made.items():
        session.insert(table, pa.Table.from_pylist(rows, schema=_schema(session, table, list(rows[0]))))
    refresh_worktime(session)
    return {table: len(rows) for table, rows in made.items()} | {
        "worktime": session.query("SELECT count() AS n FROM worktime")["n"][0].as_py()
    }


def _schema(session: Session, table: str, names: list[str]) -> pa.Schema:
    """The table's own Arrow types, so that empty lists and all-null columns have theirs."""
    columns = ", ".join(f"`{name}`" for name in names)
    schema = session.client.query_arrow(f"SELECT {columns} FROM {table} LIMIT 0", use_strings=True).schema  # noqa: S608
    return pa.schema([_plain(field) for field in schema])


def _plain(field: pa.Field) -> pa.Field:
    if pa.types.is_dictionary(field.type):
        return pa.field(field.name, field.type.value_type)
    return field
