"""ClickHouse as files: every table in ClickHouse's own Native format with its definition; a server's or chDB's alike.

``BACKUP`` would need a backup disk in the server's configuration, and chDB refuses it; this needs neither, and goes
back into either kind. A chDB folder belongs to one path per process, so this works in a process of its own:
``python -m deploy.backup.clickhouse dump|load|count FOLDER``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.backup.shelf import BackupError, Part, Shelf
from resources.clickhouse import ClickHouse, Session

INDEX = "tables.json"
URL_VARIABLE = "BACKUP_CLICKHOUSE_URL"
"""The address holds a password, which must not be seen in the list of processes."""
COMPUTED = {"events": {"key_in": "content_key", "way_in": "way"}}
"""Columns that are given once, when a row comes, and cannot be computed again from the others."""


class ClickHouseEndedError(BackupError):
    """The process that speaks to ClickHouse was ended from outside, which says nothing about any data."""


def dump_clickhouse(shelf: Shelf, url: str, scratch: Path) -> Part:
    """All tables and views of the database at ``url``.

    Raises:
        BackupError: it cannot be used.
    """
    folder = scratch / "clickhouse"
    folder.mkdir()
    tables = _apart("dump", url, folder)
    part = Part(facts={"tables": tables})
    part.items = [shelf.keep_file(path.name, path) for path in sorted(folder.iterdir()) if path.name != INDEX]
    return part


def load_clickhouse(shelf: Shelf, part: Part, url: str, scratch: Path) -> None:
    """Put tables and views back, in the place of those of the same names, and compare what came back.

    Raises:
        BackupError: it cannot be used, or holds something else afterwards.
    """
    folder = scratch / "clickhouse"
    folder.mkdir()
    for item in part.items:
        with shelf.file(item) as copy:
            copy.replace(folder / item.path)
    (folder / INDEX).write_text(json.dumps(part.facts["tables"]), encoding="utf-8")
    _apart("load", url, folder)


def clickhouse_rows(url: str) -> int:
    """Rows in the tables of a database; those that only say which migrations it has do not count.

    Raises:
        BackupError: it cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="reefline-count-") as folder:
        return sum(int(table["rows"]) for table in _apart("count", url, Path(folder)))


def _apart(what: str, url: str, folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "deploy.backup.clickhouse", what, str(folder)]
    env = {**os.environ, URL_VARIABLE: url}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode < 0:  # by a signal; the system does so when memory runs out
        raise ClickHouseEndedError(f"ClickHouse: ended by signal {-done.returncode}; is there too little memory?")
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise BackupError(f"ClickHouse: {said[-1] if said else 'ended without a word'}")
    return json.loads((folder / INDEX).read_text(encoding="utf-8"))


def _dump(session: Session, folder: Path) -> None:
    client = session.client
    rows = client.query(
        "SELECT name, engine, create_table_query, database FROM system.tables "
        "WHERE database = currentDatabase() AND name NOT LIKE '.inner%' ORDER BY name"
    ).result_rows
    tables = []
    for name, engine, definition, database in rows:
        table = {"name": name, "view": "View" in engine, "definition": definition, "database": database}
        if not table["view"]:
            table["computed"] = COMPUTED.get(name, {})
            also = "".join(f", {column} AS {given}" for given, column in table["computed"].items())
            with (folder / f"{name}.native").open("wb") as file:
                for chunk in client.raw_stream(f"SELECT *{also} FROM `{name}`", fmt="Native"):  # noqa: S608 - its own name
                    file.write(chunk)
            table |= _digest(session, name, table["computed"])
        tables.append(table)
    (folder / INDEX).write_text(json.dumps(tables), encoding="utf-8")


def _load(session: Session, folder: Path) -> None:
    client = session.client
    tables = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    here = str(client.command("SELECT currentDatabase()"))
    _make_room(session, tables)
    for table in (t for t in tables if not t["view"]):
        client.command(_moved(table, here))
        if table["rows"]:
            with (folder / f"{table['name']}.native").open("rb") as data:
                columns = _columns(session, table)
                client.raw_insert(f"`{table['name']}`", columns, insert_block=data, fmt="Native")
        found = _digest(session, table["name"], table.get("computed", {}))
        if found != {name: table[name] for name in found}:
            raise BackupError(f"table {table['name']} came back otherwise: {found}")
    _make_views(client, [t for t in tables if t["view"]], here)


def _count(session: Session, folder: Path) -> None:
    asked = (
        "SELECT name, total_rows FROM system.tables WHERE database = currentDatabase() "
        "AND total_rows > 0 AND name != 'schema_migrations'"
    )
    found = [{"name": name, "rows": int(rows)} for name, rows in session.client.query(asked).result_rows]
    (folder / INDEX).write_text(json.dumps(found), encoding="utf-8")


def _make_room(session: Session, tables: list[dict[str, Any]]) -> None:
    """Drop what was made by migrations, or by a restore that broke off: that nothing is lost was asked before."""
    there = session.client.query("SELECT name, engine FROM system.tables WHERE database = currentDatabase()")
    wanted = {table["name"] for table in tables}
    found = sorted(there.result_rows, key=lambda row: "View" not in row[1])  # views first
    for name, engine in found:
        if name in wanted:
            session.client.command(f"DROP {'VIEW' if 'View' in engine else 'TABLE'} IF EXISTS `{name}` SYNC")


def _make_views(client: Any, views: list[dict[str, Any]], here: str) -> None:
    """Views may need each other, in whatever order."""
    while views:
        failed = []
        for view in views:
            try:
                client.command(_moved(view, here))
            except Exception as error:  # the driver's errors have no common ground between server and chDB
                failed.append((view, error))
        if len(failed) == len(views):
            raise BackupError(f"view {failed[0][0]['name']} cannot be made: {failed[0][1]}")
        views = [view for view, _ in failed]


def _moved(table: dict[str, Any], database: str) -> str:
    """A definition for another database; ClickHouse writes the old one's name into it."""
    old = re.escape(table["database"])
    return re.sub(rf"(?<![\w.])`?{old}`?\.(?=[\w`])", f"`{database}`.", table["definition"])


def _columns(session: Session, table: dict[str, Any]) -> list[str] | None:
    """The columns that a file holds, where they are more than the table's own."""
    if not table.get("computed"):
        return None
    asked = (
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String} "
        "AND default_kind NOT IN ('MATERIALIZED', 'ALIAS', 'EPHEMERAL') ORDER BY position"
    )
    own = session.client.query(asked, {"table": table["name"]}).result_rows
    return [name for [name] in own] + list(table["computed"])


def _digest(session: Session, name: str, computed: Mapping[str, str]) -> dict[str, Any]:
    """Number of rows, and a sum over them that does not depend on their order."""
    what = ", ".join(["*", *computed.values()])
    asked = f"SELECT count(), toString(sum(cityHash64({what}))) FROM `{name}`"  # noqa: S608 - its own name
    [(rows, digest)] = session.client.query(asked).result_rows
    return {"rows": int(rows), "digest": str(digest)}


WORK = {"dump": _dump, "load": _load, "count": _count}


def main() -> int:
    """Dump or load; one line on standard error says what is wrong."""
    what, folder = sys.argv[1:]
    try:
        with ClickHouse(os.environ[URL_VARIABLE]).session() as session:
            WORK[what](session, Path(folder))
    except Exception as error:  # the driver's errors have no common ground between server and chDB
        print(str(error).strip().splitlines()[0] if str(error).strip() else repr(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
