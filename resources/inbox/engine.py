"""Connecting to the inbox's database, with what SQLite needs to serve several processes at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.schema import CreateColumn

from resources.inbox.tables import metadata

BUSY_S = 5
"""Seconds a transaction waits for another; well under the 10 s that CVAT waits for an answer."""


def make_engine(url: str) -> Engine:
    """The engine for an SQLAlchemy URL; a SQLite file's folder is made."""
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_pre_ping=True)
    database = sa.engine.make_url(url).database
    if database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_S, "isolation_level": None})

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_S * 1000}"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # Taking the write lock at once avoids the deadlock of two readers that both want to write.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def make_tables(engine: Engine, lock: int) -> None:
    """Make the tables, and add the columns and indexes that an inbox of an earlier version lacks.

    Args:
        engine: a connected engine.
        lock: Postgres advisory lock, so that of several processes one does it.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
        metadata.create_all(connection)
        there = sa.inspect(connection)
        for table in metadata.sorted_tables:
            names = {column["name"] for column in there.get_columns(table.name)}
            for column in table.columns:
                if column.name not in names:
                    # Columns that came later have a default, so old rows get it.
                    definition = CreateColumn(column).compile(dialect=connection.dialect)
                    connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")
            made = {index["name"] for index in there.get_indexes(table.name)}
            for index in table.indexes:
                if index.name not in made:
                    index.create(connection)


def missing_parts(engine: Engine) -> list[str]:
    """Tables, and columns of tables, that this version has and the database lacks. Reads only."""
    with engine.connect() as connection:
        there = sa.inspect(connection)
        known = set(there.get_table_names())
        lacking = [table.name for table in metadata.sorted_tables if table.name not in known]
        for table in metadata.sorted_tables:
            if table.name in known:
                names = {column["name"] for column in there.get_columns(table.name)}
                lacking += [f"{table.name}.{column.name}" for column in table.columns if column.name not in names]
    return lacking
