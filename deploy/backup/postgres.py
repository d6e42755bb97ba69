"""Postgres databases as files: COPY of every table within one snapshot, and where every sequence stands.

COPY needs no program beside the driver, and no match between versions of ``pg_dump`` and server. Only rows are kept:
tables are made by the software they belong to, before their rows come back, so a backup goes back into the version that
made it (or is upgraded then).
"""

from __future__ import annotations

import gzip
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from deploy.backup.shelf import BackupError, Part, Shelf

SUFFIX = ".copy.gz"
SAME_TEXT = (
    "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = ISO; SET LOCAL intervalstyle = postgres; "
    "SET LOCAL extra_float_digits = 1; SET LOCAL statement_timeout = 0"
)
"""The same rows are always the same text, and no large table is cut off by what a role has set for queries."""
LOCK_WAIT_S = 20
SEQUENCES = """
    SELECT sequence.relname, owner.relname FROM pg_class sequence
    LEFT JOIN pg_depend ON pg_depend.objid = sequence.oid AND pg_depend.deptype IN ('a', 'i')
        AND pg_depend.classid = 'pg_class'::regclass AND pg_depend.refclassid = 'pg_class'::regclass
    LEFT JOIN pg_class owner ON owner.oid = pg_depend.refobjid
    WHERE sequence.relkind = 'S' AND sequence.relnamespace = current_schema()::regnamespace ORDER BY 1
"""
TRIGGERS = """
    SELECT pg_class.relname, pg_trigger.tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = pg_trigger.tgrelid
    WHERE NOT tgisinternal AND tgenabled = 'O' AND pg_class.relnamespace = current_schema()::regnamespace
"""


def dump_postgres(shelf: Shelf, url: str, scratch: Path, without: Collection[str] = ()) -> Part:
    """Every table of a database (its current schema), all of the same moment.

    What a table computes by itself (generated columns) is not kept; it is computed again.

    Args:
        shelf: keeps them.
        url: SQLAlchemy URL.
        scratch: folder for one table at a time.
        without: tables that are left out.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the server is away, or lets us not read a table.
    """
    part = Part(facts={"kind": "postgres", "rows": {}, "columns": {}})
    engine = sa.create_engine(url, isolation_level="REPEATABLE READ")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            connection.exec_driver_sql(SAME_TEXT)
            inspector = sa.inspect(connection)
            tables = sorted(set(inspector.get_table_names()) - set(without))
            for table in tables:
                columns = [column["name"] for column in inspector.get_columns(table) if "computed" not in column]
                copy = scratch / "table"
                with (
                    copy.open("wb") as file,
                    gzip.GzipFile("", "wb", 6, file, mtime=0) as zipped,
                    copying(connection) as cursor,
                ):
                    cursor.copy_expert(f"COPY {columns_of(table, columns)} TO STDOUT", zipped)
                    part.facts["rows"][table] = cursor.rowcount
                part.facts["columns"][table] = columns
                part.items.append(shelf.keep_file(table + SUFFIX, copy))
            part.facts["sequences"] = _sequences(connection, tables)
    finally:
        engine.dispose()
    return part


def _sequences(connection: sa.Connection, tables: Collection[str]) -> dict[str, tuple[int, bool]]:
    """Last value of each sequence, and whether that was given out: the highest id may belong to a row that is gone."""
    found = connection.exec_driver_sql(SEQUENCES).all()
    names = [name for name, owner in found if owner is None or owner in tables]
    asked = "SELECT last_value, is_called FROM "
    return {name: tuple(connection.exec_driver_sql(asked + quoted(name)).one()) for name in names}


def load_postgres(shelf: Shelf, part: Part, url: str, spoken_for: Mapping[str, int] | None = None) -> None:
    """Fill the tables of a database, which exist and hold nothing of worth, in one transaction.

    Rows come back as they were kept: triggers of the database's own do not see them, its constraints do.

    Args:
        shelf: where they are.
        part: the tables.
        url: SQLAlchemy URL.
        spoken_for: by table, the highest ``id`` that somebody else still knows a lost row by; new rows get higher ones.

    Raises:
        BackupError: a table or column is missing, or the rows that came back are not as many as were kept.
        sqlalchemy.exc.SQLAlchemyError: the database does not take them; nothing of it is changed then.
    """
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"{SAME_TEXT}; SET LOCAL lock_timeout = '{LOCK_WAIT_S}s'")
            order = _order(connection, part)
            triggers = [row for row in connection.exec_driver_sql(TRIGGERS).all() if row[0] in order]
            if order:
                connection.exec_driver_sql("TRUNCATE " + ", ".join(map(quoted, order)))
            _switch(connection, triggers, "DISABLE")
            connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")  # tables may refer to each other in a circle
            items = {item.path.removesuffix(SUFFIX): item for item in part.items}
            for table in order:
                into = f"COPY {columns_of(table, part.facts['columns'][table])} FROM STDIN"
                with shelf.file(items[table]) as copy, gzip.open(copy) as rows, copying(connection) as cursor:
                    cursor.copy_expert(into, rows)
                    if cursor.rowcount != part.facts["rows"][table]:
                        raise BackupError(f"{table}: {cursor.rowcount} rows came back, not as many as were kept")
            connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
            _switch(connection, triggers, "ENABLE")
            _set_sequences(connection, part)
            for table, highest in (spoken_for or {}).items():
                _skip_ids(connection, table, highest)
    finally:
        engine.dispose()


def _order(connection: sa.Connection, part: Part) -> list[str]:
    """The kept tables, those that others refer to first."""
    inspector, kept = sa.inspect(connection), part.facts["columns"]
    order = [table for table, _ in inspector.get_sorted_table_and_fkc_names() if table is not None and table in kept]
    missing = sorted(set(kept) - set(order))
    for table in order:
        there = {column["name"] for column in inspector.get_columns(table)}
        missing += [f"{table}.{column}" for column in kept[table] if column not in there]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise BackupError(
            f"the database has no {', '.join(missing[:3])}{more}: restore with the version that made the set"
        )
    return order


def _switch(connection: sa.Connection, triggers: Collection[Any], how: str) -> None:
    for table, trigger in triggers:
        connection.exec_driver_sql(f"ALTER TABLE {quoted(table)} {how} TRIGGER {quoted(trigger)}")


def _set_sequences(connection: sa.Connection, part: Part) -> None:
    """Let new rows get the numbers they would have got. Sets of before knew no sequences: after the highest, there."""
    kept = part.facts.get("sequences")
    if kept is None:
        serial = sa.text("SELECT pg_get_serial_sequence(:table, :column)")
        for table, columns in part.facts["columns"].items():
            for column in columns:
                if name := connection.execute(serial, {"table": quoted(table), "column": column}).scalar():
                    highest = connection.exec_driver_sql(f"SELECT max({quoted(column)}) FROM {quoted(table)}").scalar()  # noqa: S608
                    connection.execute(sa.select(sa.func.setval(name, highest or 1, highest is not None)))
        return
    for name, (last, given_out) in kept.items():
        connection.execute(sa.select(sa.func.setval(quoted(name), last, given_out)))


def _skip_ids(connection: sa.Connection, table: str, highest: int) -> None:
    asked = sa.text("SELECT pg_get_serial_sequence(:table, 'id')")
    name = connection.execute(asked, {"table": quoted(table)}).scalar_one()
    last = connection.exec_driver_sql(f"SELECT last_value FROM {name}").scalar_one()  # noqa: S608 - Postgres quotes it
    if highest >= last:
        connection.execute(sa.select(sa.func.setval(name, highest)))


def holds_rows(url: str, tables: Collection[str]) -> bool:
    """Whether one of these tables, as far as they exist, holds a row."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            there = set(sa.inspect(connection).get_table_names()) & set(tables)
            return any(
                connection.exec_driver_sql(f"SELECT EXISTS (SELECT 1 FROM {quoted(table)})").scalar()  # noqa: S608
                for table in there
            )
    finally:
        engine.dispose()


@contextmanager
def copying(connection: sa.Connection) -> Iterator[Any]:
    """The driver's cursor, which knows COPY; its errors come as SQLAlchemy's, like those of every other statement."""
    raw: Any = connection.connection.driver_connection
    try:
        with raw.cursor() as cursor:
            yield cursor
    except connection.dialect.loaded_dbapi.Error as error:
        if raw.closed:
            connection.invalidate(error)  # else taking the transaction back would fail, and hide what happened
        raise sa.exc.DBAPIError("COPY", None, error) from error


def first_line(error: Exception) -> str:
    """What an error says, without the driver's name and the statement."""
    said = str(getattr(error, "orig", None) or error).strip()
    return said.splitlines()[0] if said else type(error).__name__


def columns_of(table: str, columns: Collection[str]) -> str:
    """A table and its columns, as COPY wants them named."""
    return f"{quoted(table)} ({', '.join(map(quoted, columns))})"


def quoted(name: str) -> str:
    """A name as SQL reads it whatever letters it has."""
    return '"' + name.replace('"', '""') + '"'
