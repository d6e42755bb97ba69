"""Taking a backup of an installation, also while it works."""

from __future__ import annotations

import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import sqlalchemy as sa

from deploy.backup.clickhouse import dump_clickhouse
from deploy.backup.cvat_database import PART as CVAT_DATABASE
from deploy.backup.cvat_database import cvat_database_url, dump_cvat_database
from deploy.backup.cvat_tasks import take_tasks
from deploy.backup.postgres import dump_postgres
from deploy.backup.secret_settings import pack_settings
from deploy.backup.shelf import BackupError, BackupSet, Item, Part, Shelf, Tell
from deploy.backup.sqlite_files import dump_sqlite
from orchestration.instance import dagster_database, dagster_home
from resources.bundle import make_cvat
from resources.inbox import Inbox
from resources.inbox.tables import metadata as inbox_tables
from resources.object_store import MissingObjectError, open_store
from resources.settings import Settings

BY_CONTENT = re.compile(r"(?:images/.+|models/weights)/([0-9a-f]{64})(?:\.[a-z0-9]+)?$")
"""Objects that are named by the hash of their bytes, and never change."""
RESTORING = "platform/restoring.json"
"""Names the set that a restore is at work on."""
PASSING = ("probes/", RESTORING)
NAME = "%Y%m%dT%H%M%SZ"
"""Of a set: the second it was begun in, UTC."""
SURVEY_FILES = (".yaml", ".yml", ".md")


def take_backup(
    settings: Settings,
    shelf: Shelf,
    tell: Tell = lambda _: None,
    *,
    with_cvat: bool = False,
    read_all: bool = False,
    versions: Mapping[str, str] | None = None,
) -> BackupSet:
    """Keep everything that belongs to an installation; what is kept already is not copied again.

    Args:
        settings: of the installation.
        shelf: where it is kept.
        tell: told of each part.
        with_cvat: also CVAT's own backups of all review tasks that have changed since the last set.
        read_all: read pictures that are kept already, too, to find those that were damaged on disk since.
        versions: of the software that the data is of, where that is not the installed one.

    Raises:
        BackupError: a part cannot be read. Nothing counts until the set is written, as the last act.
    """
    now = _free_second(shelf)
    made_with = dict(versions or {name: version(name) for name in ("reefline", "dagster")})
    made = BackupSet(now.strftime(NAME), now.isoformat(timespec="seconds"), made_with)
    parts: dict[str, Callable[[Path], Part]] = {
        "dagster": lambda scratch: _dagster(settings, shelf, scratch),
        "inbox": lambda scratch: _inbox(settings, shelf, scratch),
        CVAT_DATABASE: lambda scratch: _cvat_database(settings, shelf, scratch, made.problems),
        "store": lambda _: _store(settings, shelf, made.problems, read_all=read_all),
        "clickhouse": lambda scratch: _clickhouse(settings, shelf, scratch),
        "sandbox": lambda scratch: _sandbox(settings, shelf, scratch),
        "cvat": lambda scratch: _cvat(settings, shelf, scratch, made.problems) if with_cvat else Part(),
        "surveys": lambda _: _surveys(settings, shelf),
        "settings": lambda _: Part(facts=pack_settings(settings)),
    }
    with shelf.making(made.name):
        for name, take in parts.items():
            made.parts[name] = _taken(name, take)
            size = sum(item.size for item in made.parts[name].items)
            tell(f"{name:<13} {len(made.parts[name].items):>8} files  {size / 1e6:>10.1f} MB")
        shelf.write(made)
    return made


def _taken(name: str, take: Callable[[Path], Part]) -> Part:
    with tempfile.TemporaryDirectory(prefix="reefline-backup-") as scratch:
        try:
            return take(Path(scratch))
        except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise BackupError(f"{name} cannot be read: {str(error).strip().splitlines()[0]}") from error


def _free_second(shelf: Shelf) -> datetime:
    """Now; a second later where a set has that name already."""
    while (now := datetime.now(UTC)).strftime(NAME) in shelf.names():
        time.sleep(0.2)
    return now


def dagster_files(home: Path) -> dict[str, Path]:
    """Dagster's SQLite files below its home, by their place in it."""
    found = [path for folder in ("history", "schedules") for path in (home / folder).rglob("*.db")]
    return {path.relative_to(home).as_posix(): path for path in found}


def inbox_file(settings: Settings) -> Path | None:
    """The inbox's SQLite file, ``None`` when it is on Postgres."""
    url = sa.engine.make_url(settings.inbox)
    return Path(str(url.database)) if url.drivername.startswith("sqlite") else None


def _dagster(settings: Settings, shelf: Shelf, scratch: Path) -> Part:
    database = dagster_database(settings)
    if database:
        shared = list(inbox_tables.tables) if settings.inbox == database else []
        return dump_postgres(shelf, database, scratch, without=shared)
    return dump_sqlite(shelf, dagster_files(dagster_home(settings)), scratch)


def _inbox(settings: Settings, shelf: Shelf, scratch: Path) -> Part:
    file = inbox_file(settings)
    if file is not None:
        return dump_sqlite(shelf, {"inbox.db": file} if file.exists() else {}, scratch)
    there = sa.create_engine(settings.inbox)
    try:
        others = set(sa.inspect(there).get_table_names()) - set(inbox_tables.tables)
    finally:
        there.dispose()
    return dump_postgres(shelf, settings.inbox, scratch, without=others)


def _store(settings: Settings, shelf: Shelf, problems: list[str], *, read_all: bool) -> Part:
    store, part = open_store(settings.store), Part()
    sizes: dict[str, int] = shelf.sizes()
    for key in store.keys(""):
        if key.startswith(PASSING):
            continue
        named = BY_CONTENT.match(key)
        if named and not read_all and named[1] in sizes and shelf.has(named[1]):
            part.items.append(Item(key, named[1], sizes[named[1]]))  # kept already: not even read
            continue
        try:
            item = shelf.keep_bytes(key, store.get(key))
        except MissingObjectError:
            continue  # working data that has been done with since the list was made
        if named and item.sha256 != named[1]:
            problems.append(
                f"{store.uri(key)} is not what its name says: damaged on disk, restore it from a set before"
            )
        part.items.append(item)
    return part


def _clickhouse(settings: Settings, shelf: Shelf, scratch: Path) -> Part:
    folder = settings.clickhouse.removeprefix("chdb://")
    if settings.clickhouse.startswith("chdb:") and not Path(folder).exists():
        return Part(facts={"tables": []})  # nothing has been analysed yet
    return dump_clickhouse(shelf, settings.clickhouse, scratch)


def _sandbox(settings: Settings, shelf: Shelf, scratch: Path) -> Part:
    """The CVAT sandbox's data, where an installation has one."""
    folder = settings.home / "sandbox"
    database = folder / "sandbox.db"
    if not database.is_file():
        return Part()
    part = dump_sqlite(shelf, {"sandbox.db": database}, scratch)
    pictures = [path for path in (folder / "data").rglob("*") if path.is_file()]
    part.items += [shelf.keep_file(path.relative_to(folder).as_posix(), path) for path in sorted(pictures)]
    return part


def _cvat(settings: Settings, shelf: Shelf, scratch: Path, problems: list[str]) -> Part:
    return take_tasks(make_cvat(settings), Inbox(settings.inbox), shelf, scratch, problems)


def _cvat_database(settings: Settings, shelf: Shelf, scratch: Path, problems: list[str]) -> Part:
    """CVAT is a neighbour: when its database is away, the rest is kept all the same, and this is said."""
    try:
        url = cvat_database_url(settings)
        return dump_cvat_database(shelf, url, scratch) if url else Part()
    except BackupError as error:
        problems.append(f"{CVAT_DATABASE}: not in this set: {error}")
        return Part()


def _surveys(settings: Settings, shelf: Shelf) -> Part:
    folder = settings.surveys_dir
    files = [path for path in sorted(folder.glob("*")) if path.suffix in SURVEY_FILES and path.is_file()]
    return Part([shelf.keep_file(path.name, path) for path in files])
