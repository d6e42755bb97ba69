"""CVAT's own database: tasks, annotations, issues, people. Kept and brought back like ours, with what CVAT needs more.

Its tables are CVAT's, so CVAT makes them, and rows go only into the tables of the version they came from: both must
have gone through the same migrations. What belongs elsewhere: CVAT's files (pictures it was given, its keys), which no
database holds; review tasks one by one (``cvat_tasks``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from deploy.backup.postgres import dump_postgres, first_line, load_postgres
from deploy.backup.shelf import BackupError, Part, Shelf
from resources.settings import PREFIX, Settings

PART = "cvat_database"
VARIABLE = f"{PREFIX}CVAT_DATABASE_URL"
WORK = {"engine_task": "tasks", "engine_project": "projects", "engine_cloudstorage": "cloud storages"}
"""Tables with what people would miss. A new CVAT has rows in others: rights, its first accounts."""
ASK_MIGRATIONS = "SELECT app || '.' || name FROM django_migrations ORDER BY 1"
ASK_OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename IS NOT NULL
"""
STOP_CVAT = "stop cvat_server and every cvat_worker"


@dataclass(frozen=True, slots=True)
class CvatDatabase:
    """What stands in a database of CVAT's.

    Attributes:
        migrations: that made its tables, as ``app.name``; empty: there are no tables.
        work: number of tasks, projects and the like, by their name; only what there is.
        others: connections beside ours: CVAT at work.
    """

    migrations: tuple[str, ...]
    work: dict[str, int]
    others: int

    @property
    def held(self) -> str:
        """What it holds, for people."""
        return ", ".join(f"{number} {name}" for name, number in self.work.items())


def cvat_database_url(settings: Settings) -> str:
    """Where CVAT's database is; empty where nobody has said so.

    Raises:
        BackupError: the setting is no address of a Postgres database.
    """
    try:
        url = sa.engine.make_url(settings.cvat_database) if settings.cvat_database else None
    except (sa.exc.ArgumentError, ValueError):
        url = None
    if settings.cvat_database and (url is None or url.get_backend_name() != "postgresql" or not url.database):
        raise BackupError(
            f"{VARIABLE} is no address of a Postgres database: write postgresql://user:password@host/cvat"
        )
    return settings.cvat_database


def look_at(url: str) -> CvatDatabase:
    """What stands there now.

    Raises:
        BackupError: it is away, or the database of something else.
    """
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            there = set(sa.inspect(connection).get_table_names())
            if there and not {"django_migrations", *WORK} <= there:
                lacking = min({"django_migrations", *WORK} - there)
                raise BackupError(f"{VARIABLE} leads to a database that is not CVAT's: it has no table {lacking}")
            migrations = connection.exec_driver_sql(ASK_MIGRATIONS).scalars().all() if there else ()
            counts = {
                name: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()  # noqa: S608 - our own names
                for table, name in (WORK.items() if there else ())
            }
            others = connection.exec_driver_sql(ASK_OTHERS).scalar_one()
    except sa.exc.SQLAlchemyError as error:
        raise BackupError(f"CVAT's database ({VARIABLE}) cannot be used: {first_line(error)}") from error
    finally:
        engine.dispose()
    return CvatDatabase(tuple(migrations), {name: number for name, number in counts.items() if number}, others)


def dump_cvat_database(shelf: Shelf, url: str, scratch: Path) -> Part:
    """Every table of CVAT's, of one moment, while it works.

    Raises:
        BackupError: it is away, empty, or not CVAT's.
    """
    found = look_at(url)
    if not found.migrations:
        raise BackupError(f"{VARIABLE} leads to an empty database: CVAT makes its tables when it is started")
    try:
        part = dump_postgres(shelf, url, scratch)
    except sa.exc.SQLAlchemyError as error:
        raise BackupError(f"CVAT's database ({VARIABLE}) cannot be read: {first_line(error)}") from error
    part.facts["migrations"] = list(found.migrations)
    return part


def refuse_unfit(part: Part, found: CvatDatabase) -> None:
    """Stop where kept rows cannot go into a database of CVAT's.

    Raises:
        BackupError: it has no tables, those of another version, holds work, or CVAT is at work on it.
    """
    if found.work:
        raise BackupError(
            f"CVAT's database holds {found.held}: a backup goes back only into a new CVAT. If that work may go, remove "
            "the database (in Compose the volume of cvat_db), start CVAT once, stop it, and try again"
        )
    if not found.migrations:
        raise BackupError(
            "CVAT's database has no tables yet: start CVAT (of the version that was kept) until it answers, "
            f"{STOP_CVAT}, and try again; or unset {VARIABLE} to leave CVAT out"
        )
    kept: Collection[str] = part.facts["migrations"]
    if differ := sorted(set(kept) ^ set(found.migrations)):
        named = max(differ, key=lambda name: (name.startswith("engine."), name))  # CVAT's own, and the newest
        here = "lacks" if named in kept else "has"
        raise BackupError(
            f"the kept rows are of another version of CVAT: the one here {here} {named} ({len(differ)} migrations "
            f"differ). Install the version that was kept, or unset {VARIABLE} to leave CVAT out"
        )
    if found.others:
        raise BackupError(f"CVAT is at work on its database ({found.others} connections): {STOP_CVAT}, and try again")


def for_restore(settings: Settings, part: Part) -> str:
    """Where kept rows of CVAT's go when a whole set is restored: the database's address, empty when they stay out.

    They stay out of a CVAT that lives on and has work of its own.

    Raises:
        BackupError: there is an address, and rows can go neither in there nor be left out without a word.
    """
    url = cvat_database_url(settings) if part.items else ""
    if not url:
        return ""
    found = look_at(url)
    if found.work:
        return ""
    refuse_unfit(part, found)
    return url


def load_cvat_database(shelf: Shelf, part: Part, url: str, spoken_for: Mapping[str, int] | None = None) -> None:
    """Put the rows back into a new CVAT of the same version; all of them or, when something fails, none.

    Args:
        shelf: where they are.
        part: of a set.
        url: of CVAT's database.
        spoken_for: by table, the highest id that an inbox knows which is newer than the set.

    Raises:
        BackupError: it does not take them.
    """
    refuse_unfit(part, look_at(url))
    try:
        load_postgres(shelf, part, url, spoken_for)
    except sa.exc.SQLAlchemyError as error:
        raise BackupError(
            f"CVAT's database was not put back, nothing in it was changed: {first_line(error)}"
        ) from error
