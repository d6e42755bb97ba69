"""Databases as files: SQLite by its online backup, Postgres by COPY of every table within one snapshot.

COPY needs no program beside the driver, and no match between versions of ``pg_dump`` and server. Tables are made by the
software itself before their rows come back, so a backup goes back into the version that made it (or is upgraded then).
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from deploy.backup.shelf import BackupError, Part, Shelf

SUFFIX = ".copy.gz"
UTC = "SET LOCAL TIME ZONE 'UTC'"
"""So that the same rows are always the same text."""


def dump_sqlite(shelf: Shelf, files: dict[str, Path], scratch: Path) -> Part:
    """Copies of SQLite files, each of one moment, also while they are written to."""
    part = Part(facts={"kind": "sqlite", "rows": {}, "content": {}})
    for name, path in sorted(files.items()):
        copy = scratch / "copy.db"
        copy.unlink(missing_ok=True)
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source, closing(sqlite3.connect(copy)) as to:
            source.backup(to)
            to.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        part.facts["rows"] |= {f"{name}:{table}": rows for table, rows in count_sqlite(copy).items()}
        part.facts["content"][name] = content_of(copy)
        part.items.append(shelf.keep_file(name, copy))
    return part


def content_of(path: Path) -> str:
    """A hash of all rows of a SQLite file: its bytes differ with every opening, its content does not."""
    found = hashlib.sha256()
    with closing(sqlite3.connect(path)) as database:
        names = [n for (n,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
        for name in names:
            found.update(name.encode())
            for row in database.execute(f'SELECT * FROM "{name}" ORDER BY 1'):  # noqa: S608 - its own name
                found.update(repr(row).encode())
    return found.hexdigest()


def count_sqlite(path: Path) -> dict[str, int]:
    """Rows of each table of a SQLite file.

    Raises:
        BackupError: SQLite finds it damaged.
    """
    try:
        with closing(sqlite3.connect(path)) as database:
            [(verdict,)] = database.execute("PRAGMA integrity_check(1)").fetchall()
            if verdict != "ok":
                raise BackupError(f"{path.name} is damaged: {verdict}")
            names = [n for (n,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
            return {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{path.name} is no SQLite database: {error}") from error


def load_sqlite(shelf: Shelf, part: Part, places: dict[str, Path] | Path) -> None:
    """Put SQLite files back: by name, or below one folder."""
    for item in part.items:
        target = places / item.path if isinstance(places, Path) else places[item.path]
        target.parent.mkdir(parents=True, exist_ok=True)
        with shelf.file(item) as copy:
            shutil.copyfile(copy, target)


def dump_postgres(shelf: Shelf, url: str, scratch: Path, without: Collection[str] = ()) -> Part:
    """Every table of a database (its current schema), all of the same moment.

    Args:
        shelf: keeps them.
        url: SQLAlchemy URL.
        scratch: folder for one table at a time.
        without: tables that are left out.
    """
    part = Part(facts={"kind": "postgres", "rows": {}, "columns": {}})
    engine = sa.create_engine(url, isolation_level="REPEATABLE READ")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            connection.exec_driver_sql(UTC)
            inspector = sa.inspect(connection)
            raw: Any = connection.connection.driver_connection
            for table in sorted(set(inspector.get_table_names()) - set(without)):
                columns = [column["name"] for column in inspector.get_columns(table)]
                copy = scratch / "table"
                with (
                    copy.open("wb") as file,
                    gzip.GzipFile("", "wb", 6, file, mtime=0) as zipped,
                    raw.cursor() as cursor,
                ):
                    cursor.copy_expert(f"COPY {_quoted(table)} ({', '.join(map(_quoted, columns))}) TO STDOUT", zipped)
                    part.facts["rows"][table] = cursor.rowcount
                part.facts["columns"][table] = columns
                part.items.append(shelf.keep_file(table + SUFFIX, copy))
    finally:
        engine.dispose()
    return part


def load_postgres(shelf: Shelf, part: Part, url: str) -> None:
    """Fill the tables of a database, which exist and hold nothing of worth, in one transaction.

    Raises:
        BackupError: a table or column is missing, or the rows that came back are not as many as were kept.
    """
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            found = sa.MetaData()
            found.reflect(connection)
            missing = sorted(set(part.facts["columns"]) - set(found.tables))
            if missing:
                raise BackupError(f"this version makes no table {', '.join(missing)}: restore with the one that did")
            items = {item.path.removesuffix(SUFFIX): item for item in part.items}
            order = [table for table in found.sorted_tables if table.name in items]
            connection.exec_driver_sql("TRUNCATE " + ", ".join(_quoted(table.name) for table in order))
            raw: Any = connection.connection.driver_connection
            for table in order:
                columns = ", ".join(map(_quoted, part.facts["columns"][table.name]))
                with shelf.file(items[table.name]) as copy, gzip.open(copy) as rows, raw.cursor() as cursor:
                    cursor.copy_expert(f"COPY {_quoted(table.name)} ({columns}) FROM STDIN", rows)
                    if cursor.rowcount != part.facts["rows"][table.name]:
                        raise BackupError(f"{table.name}: {cursor.rowcount} rows came back, not as many as were kept")
                _reset_sequences(connection, table)
    finally:
        engine.dispose()


def try_postgres(shelf: Shelf, part: Part, url: str, without: Collection[str] = ()) -> Iterator[str]:
    """Put the rows of each table into a temporary one like the table in use, read them again, and compare.

    The server makes temporary tables without a privilege beyond those of the owner, and nothing of them stays.

    Args:
        shelf: where the rows are.
        part: the tables.
        url: SQLAlchemy URL of the database in use, whose tables are the pattern.
        without: files (by name) that are not tried, for they are known to be damaged.

    Yields:
        What does not come back as it was kept, beginning with the file.
    """
    engine = sa.create_engine(url)
    try:
        there = set(sa.inspect(engine).get_table_names())
        for item in part.items:
            table = item.path.removesuffix(SUFFIX)
            if item.path in without:
                continue
            if table not in there:
                yield f"{item.path}: the database in use has no such table, another version made the set"
                continue
            try:
                with shelf.file(item) as copy, engine.connect() as connection:
                    same = _comes_back(connection, table, part.facts["columns"][table], copy)
            except (sa.exc.SQLAlchemyError, _driver_error(engine)) as error:
                yield f"{item.path}: does not go back into {table}: {_first_line(error)}"
                continue
            if not same:
                yield f"{item.path}: other rows came back than were kept"
    finally:
        engine.dispose()


def _comes_back(connection: sa.Connection, table: str, columns: Collection[str], copy: Path) -> bool:
    connection.exec_driver_sql(UTC)
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE reefline_verify (LIKE {_quoted(table)} INCLUDING CONSTRAINTS INCLUDING INDEXES)"
        " ON COMMIT DROP"
    )
    what, hashed = f"reefline_verify ({', '.join(map(_quoted, columns))})", Hashing()
    raw: Any = connection.connection.driver_connection
    with raw.cursor() as cursor:
        with gzip.open(copy) as rows:
            cursor.copy_expert(f"COPY {what} FROM STDIN", rows)
        cursor.copy_expert(f"COPY {what} TO STDOUT", hashed)  # a new table gives its rows in the order they came
    with gzip.open(copy) as rows:
        return hashlib.file_digest(cast("Any", rows), "sha256").digest() == hashed.hash.digest()


class Hashing:
    """A file that keeps a hash of what is written to it."""

    def __init__(self) -> None:
        """Nothing has been written."""
        self.hash = hashlib.sha256()

    def write(self, data: bytes | str) -> int:
        """Take some more."""
        self.hash.update(data.encode() if isinstance(data, str) else data)
        return len(data)


def _driver_error(engine: sa.Engine) -> type[Exception]:
    return cast("type[Exception]", engine.dialect.loaded_dbapi.Error)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _reset_sequences(connection: sa.Connection, table: sa.Table) -> None:
    """Let new rows get numbers after those that came back."""
    for column in table.columns:
        name = connection.execute(sa.select(sa.func.pg_get_serial_sequence(_quoted(table.name), column.name))).scalar()
        if name:
            highest = connection.execute(sa.select(sa.func.max(column))).scalar()
            connection.execute(sa.select(sa.func.setval(name, highest or 1, highest is not None)))


def empty_postgres(url: str, tables: Collection[str] | None = None) -> bool:
    """Whether no table (of these) of a database holds rows that people would miss.

    Dagster writes about itself as soon as it makes its tables; runs, partitions and events are what counts.
    """
    wanted = tables or ("runs", "event_logs", "dynamic_partitions", "asset_keys")
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            there = set(sa.inspect(connection).get_table_names()) & set(wanted)
            return not any(
                connection.exec_driver_sql(f"SELECT EXISTS (SELECT 1 FROM {_quoted(t)})").scalar()  # noqa: S608
                for t in there
            )
    finally:
        engine.dispose()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
