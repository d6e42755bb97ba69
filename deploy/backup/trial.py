"""Whether kept rows of Postgres would go back: they are put into temporary tables of the database in use.

What comes of a table is one of three: its rows come back as they were kept, they do not (the backup is damaged), or it
could not be tried (the server is away or does not let us), which says nothing about the backup.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from deploy.backup.postgres import SAME_TEXT, SUFFIX, columns_of, copying, first_line, quoted
from deploy.backup.shelf import Part, Shelf

OF_THE_ROWS = ("22", "23")
"""Classes of SQLSTATE that speak of the rows: data exception, violated constraint. (PostgreSQL, appendix A)"""
OF_THE_SERVER = ("08", "53", "57", "58", "XX")
"""Connection, resources, operator, system, internal: what is tried next would fail alike."""


@dataclass(slots=True)
class Trial:
    """What came of putting a part back.

    Attributes:
        damaged: what does not come back as it was kept, each beginning with the file.
        untried: tables that could not be tried, by the reason.
    """

    damaged: list[str] = field(default_factory=list)
    untried: dict[str, list[str]] = field(default_factory=dict)


def try_postgres(shelf: Shelf, part: Part, url: str, without: Collection[str] = ()) -> Trial:
    """Put the rows of each table into a temporary one like the table in use, read them again, and compare.

    The server makes temporary tables without a privilege beyond those of the owner, and nothing of them stays.

    Args:
        shelf: where the rows are.
        part: the tables.
        url: SQLAlchemy URL of the database in use, whose tables are the pattern.
        without: files (by name) that are not tried, for they are known to be damaged.
    """
    trial, engine = Trial(), sa.create_engine(url)
    waiting = [item for item in part.items if item.path not in without]
    try:
        there = set(sa.inspect(engine).get_table_names())
        while waiting:
            item = waiting[0]
            table = item.path.removesuffix(SUFFIX)
            if table not in there:
                reason = "the database in use has no such table, another version made the set"
                trial.untried.setdefault(reason, []).append(table)
            else:
                with shelf.file(item) as copy:
                    _try_table(engine, table, part.facts["columns"][table], copy, trial)
            waiting.pop(0)
    except sa.exc.SQLAlchemyError as error:
        tables = [item.path.removesuffix(SUFFIX) for item in waiting]
        trial.untried.setdefault(first_line(error), []).extend(tables)
    finally:
        engine.dispose()
    return trial


def _try_table(engine: sa.Engine, table: str, columns: Collection[str], copy: Path, trial: Trial) -> None:
    """One table.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the server is away, so the next one need not be tried.
    """
    file = table + SUFFIX
    try:
        with engine.connect() as connection:
            same = _comes_back(connection, table, columns, copy)
    except sa.exc.SQLAlchemyError as error:
        state = getattr(getattr(error, "orig", None), "pgcode", None) or "08"  # without one: there was no answer
        if state.startswith(OF_THE_ROWS):
            trial.damaged.append(f"{file}: does not go back into {table}: {first_line(error)}")
        elif state.startswith(OF_THE_SERVER):
            raise
        else:
            trial.untried.setdefault(first_line(error), []).append(table)
        return
    if not same:
        trial.damaged.append(f"{file}: other rows came back than were kept")


def _comes_back(connection: sa.Connection, table: str, columns: Collection[str], copy: Path) -> bool:
    connection.exec_driver_sql(SAME_TEXT)
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE reefline_verify (LIKE {quoted(table)} INCLUDING CONSTRAINTS INCLUDING INDEXES"
        " INCLUDING GENERATED) ON COMMIT DROP"
    )
    what, hashed = columns_of("reefline_verify", columns), Hashing()
    with copying(connection) as cursor:
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
