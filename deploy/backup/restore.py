"""Putting a backup back, into an installation that is empty and stands still. One that broke off may be repeated."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import sqlalchemy as sa

from deploy.backup.clickhouse import clickhouse_rows, load_clickhouse
from deploy.backup.cvat_database import PART as CVAT_DATABASE
from deploy.backup.cvat_database import for_restore, load_cvat_database
from deploy.backup.postgres import first_line, holds_rows, load_postgres
from deploy.backup.secret_settings import unpack_settings
from deploy.backup.shelf import BackupError, BackupSet, Part, Shelf, Tell
from deploy.backup.sqlite_files import load_sqlite
from deploy.backup.standing import refuse_running
from deploy.backup.take import BY_CONTENT, PASSING, RESTORING, dagster_files, inbox_file
from deploy.local.dagster_home import make_storage, write_config
from deploy.local.runtime import RESTORED, write_env
from orchestration.instance import URL_VARIABLE, dagster_database, dagster_home, dagster_instance
from resources.inbox import Inbox
from resources.inbox.tables import metadata as inbox_tables
from resources.object_store import MissingObjectError, ObjectStore, open_store
from resources.settings import PREFIX, Settings
from resources.version_record import KEY

OF_THE_SANDBOX = tuple(PREFIX + name for name in ("CVAT_URL", "CVAT_USERNAME", "RECEIVER_URL"))
"""Settings that an installation with a sandbox works out for itself."""
DAGSTERS_WORK = ("runs", "event_logs", "dynamic_partitions", "asset_keys")
"""Tables with what people would miss: into others Dagster writes as soon as it makes them."""


@dataclass(slots=True)
class Restored:
    """What came back. ``by_hand``: what a person must still do."""

    name: str
    by_hand: list[str] = field(default_factory=list)


def restore_backup(settings: Settings, shelf: Shelf, name: str | None = None, tell: Tell = lambda _: None) -> Restored:
    """Put a set back; databases may be of another kind of place (another server), not of another kind (SQLite).

    Raises:
        BackupError: the installation runs or is not empty, the set is damaged, made by another version, or something
            does not take it; after that the same set may be restored again.
    """
    kept = shelf.read(name)
    store = open_store(settings.store)
    again = _begun(store) == kept.name
    _refuse_unfit(settings, kept, again=again)
    cvat = for_restore(settings, kept.part(CVAT_DATABASE))
    if again:
        tell(f"going on with {kept.name}, which broke off")
    store.put(RESTORING, json.dumps({"set": kept.name}).encode())
    restored = Restored(kept.name)
    try:
        _parts(settings, shelf, kept, restored, tell)
        if cvat:
            load_cvat_database(shelf, kept.part(CVAT_DATABASE), cvat)
            tell(f"CVAT        {len(kept.part(CVAT_DATABASE).items)} tables")
    except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
        line = first_line(error)
        raise BackupError(f"{kept.name} could not be put back: {line}. Mend that and restore it again") from error
    restored.by_hand += _of_cvat(kept, database_is_back=bool(cvat))
    store.delete(RESTORING)
    return restored


def _begun(store: ObjectStore) -> str | None:
    """The set that a restore has broken off at."""
    try:
        return str(json.loads(store.get(RESTORING))["set"])
    except MissingObjectError:
        return None


def _parts(settings: Settings, shelf: Shelf, kept: BackupSet, restored: Restored, tell: Tell) -> None:
    with tempfile.TemporaryDirectory(prefix="reefline-restore-") as scratch:
        _store(settings, shelf, kept.part("store"))
        tell(f"store       {len(kept.part('store').items)} objects")
        if kept.part("clickhouse").facts.get("tables"):
            load_clickhouse(shelf, kept.part("clickhouse"), settings.clickhouse, Path(scratch))
            tell(f"clickhouse  {len(kept.part('clickhouse').facts['tables'])} tables and views")
        _folder(shelf, kept.part("sandbox"), settings.home / "sandbox")
        restored.by_hand += _surveys(settings, shelf, kept.part("surveys"))
        _dagster(settings, shelf, kept.part("dagster"))
        _inbox(settings, shelf, kept.part("inbox"))
        tell(f"databases   {sum(len(kept.part(p).facts.get('rows', {})) for p in ('dagster', 'inbox'))} tables")
    restored.by_hand += _settings(settings, kept.part("settings"), sandbox=bool(kept.part("sandbox").items))


def _of_cvat(kept: BackupSet, *, database_is_back: bool) -> list[str]:
    """What of CVAT this set could still bring back, for when it was lost too."""
    tasks = len(kept.part("cvat").items)
    if database_is_back:
        return ["CVAT's files (/home/django/data and keys) are in no set: put yours back before CVAT starts"]
    if kept.part(CVAT_DATABASE).items:
        return ["CVAT's database was left as it is. Only if CVAT was lost too: reefline restore --cvat-database"]
    if tasks:
        return [f"only if CVAT was lost too: reefline cvat apply, reefline restore --cvat ({tasks} tasks)"]
    return []


def _refuse_unfit(settings: Settings, kept: BackupSet, *, again: bool) -> None:
    for name, made_with in kept.versions.items():
        if version(name) != made_with:
            raise BackupError(
                f"{kept.name} was made with {name} {made_with}, here is {version(name)}: install that version, "
                "restore, then run 'reefline upgrade'"
            )
    refuse_running(settings)
    kinds = {"dagster": "postgres" if dagster_database(settings) else "sqlite"}
    kinds["inbox"] = "sqlite" if inbox_file(settings) else "postgres"
    for part, kind in kinds.items():
        held = kept.part(part).facts.get("kind", kind)
        if held != kind:
            text = f"{part} was on {held}, here it is on {kind}: set its URL to an empty database of that kind"
            raise BackupError(f"{kept.name}: {text}")
    filled = [] if again else occupied(settings)
    if filled:
        raise BackupError(f"not empty: {', '.join(filled)}. A backup goes back only into an empty installation")


def occupied(settings: Settings) -> list[str]:
    """Parts of an installation that hold something."""
    filled = []
    store = open_store(settings.store)
    if next((key for key in store.keys("") if not key.startswith(PASSING) and key != KEY), None):
        filled.append(f"the store {store.url}")
    file = inbox_file(settings)
    of_file = bool(file and file.exists() and Inbox(settings.inbox).last_id())
    if of_file or (file is None and holds_rows(settings.inbox, inbox_tables.tables)):
        filled.append("the inbox")
    if database := dagster_database(settings):
        if holds_rows(database, DAGSTERS_WORK):
            filled.append("Dagster's database")
    elif dagster_files(dagster_home(settings)) and _has_runs(settings):
        filled.append(f"Dagster's history in {dagster_home(settings)}")
    if (settings.home / "sandbox" / "sandbox.db").exists():
        filled.append(f"the CVAT sandbox in {settings.home}")
    folder = Path(settings.clickhouse.removeprefix("chdb://"))
    if (folder.exists() or not settings.clickhouse.startswith("chdb:")) and clickhouse_rows(settings.clickhouse):
        filled.append("ClickHouse")
    return filled


def _has_runs(settings: Settings) -> bool:
    with dagster_instance(dagster_home(settings)) as instance:
        return instance.get_runs_count() > 0


def _store(settings: Settings, shelf: Shelf, part: Part) -> None:
    store = open_store(settings.store)
    for item in part.items:
        if BY_CONTENT.match(item.path) and store.exists(item.path):
            continue  # from a restore that broke off; a write is whole or absent
        with shelf.file(item) as copy:
            store.put_file(item.path, copy)


def _folder(shelf: Shelf, part: Part, folder: Path) -> None:
    for item in part.items:
        target = folder / item.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            part_of = target.with_name(f".{target.name}.part")  # a restore that breaks off leaves no half file
            with shelf.file(item) as copy:
                shutil.copyfile(copy, part_of)
            part_of.replace(target)


def _surveys(settings: Settings, shelf: Shelf, part: Part) -> list[str]:
    """Survey files that are missing; in containers their folder may only be read."""
    try:
        _folder(shelf, part, settings.surveys_dir)
    except OSError as error:
        return [f"survey files could not be written ({error}): reefline backup extract surveys FOLDER"]
    return []


def _dagster(settings: Settings, shelf: Shelf, part: Part) -> None:
    home = dagster_home(settings)
    if not (home / "dagster.yaml").exists():
        write_config(home, postgres=bool(settings.dagster))
    if database := dagster_database(settings):
        make_storage(home, {URL_VARIABLE: database})
        load_postgres(shelf, part, database)
        return
    for name in ("history", "schedules"):  # without rows: that was looked at
        shutil.rmtree(home / name, ignore_errors=True)
    load_sqlite(shelf, part, home)


def _inbox(settings: Settings, shelf: Shelf, part: Part) -> None:
    file = inbox_file(settings)
    if file is None:
        Inbox(settings.inbox).writable()  # makes its tables
        load_postgres(shelf, part, settings.inbox)
        return
    for leftover in file.parent.glob(f"{file.name}*"):
        leftover.unlink()
    load_sqlite(shelf, part, {"inbox.db": file})


def _settings(settings: Settings, part: Part, *, sandbox: bool) -> list[str]:
    """Write the settings that came back; ``reefline up`` takes them where nothing else is set."""
    if not part.facts:
        return []
    found, by_hand = unpack_settings(part.facts, settings.backup_passphrase.get_secret_value())
    path = settings.home / RESTORED
    path.parent.mkdir(parents=True, exist_ok=True)
    write_env(path, {name: value for name, value in found.items() if not (sandbox and name in OF_THE_SANDBOX)})
    said = f"settings came back as {path}: 'reefline up' takes them where your own say nothing; then remove it"
    return [f"set {name} anew" for name in by_hand] + [said]
