"""Putting a backup back, into an installation that is empty and stands still."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from deploy.backup.clickhouse import load_clickhouse
from deploy.backup.databases import empty_postgres, load_postgres, load_sqlite
from deploy.backup.secret_settings import unpack_settings
from deploy.backup.shelf import BackupError, BackupSet, Part, Shelf, Tell
from deploy.backup.take import PASSING, dagster_files, inbox_file
from deploy.local.dagster_home import make_storage, write_config
from deploy.local.runtime import write_env
from deploy.local.supervisor import is_running
from orchestration.instance import URL_VARIABLE, dagster_database, dagster_home, dagster_instance
from resources.inbox import Inbox
from resources.inbox.tables import metadata as inbox_tables
from resources.object_store import open_store
from resources.settings import Settings


@dataclass(slots=True)
class Restored:
    """What came back. ``by_hand``: what a person must still do."""

    name: str
    by_hand: list[str] = field(default_factory=list)


def restore_backup(settings: Settings, shelf: Shelf, name: str | None = None, tell: Tell = lambda _: None) -> Restored:
    """Put a set back; databases may be of another kind of place (another server), not of another kind (SQLite).

    Raises:
        BackupError: the installation runs or is not empty, the set is damaged, or made by another version.
    """
    kept = shelf.read(name)
    _refuse_unfit(settings, kept)
    restored = Restored(kept.name)
    with tempfile.TemporaryDirectory(prefix="reefline-restore-") as scratch:
        _store(settings, shelf, kept.part("store"))
        tell(f"store       {len(kept.part('store').items)} objects")
        if kept.part("clickhouse").facts.get("tables"):
            load_clickhouse(shelf, kept.part("clickhouse"), settings.clickhouse, Path(scratch))
            tell(f"clickhouse  {len(kept.part('clickhouse').facts['tables'])} tables and views")
        _folder(shelf, kept.part("sandbox"), settings.home / "sandbox")
        _folder(shelf, kept.part("surveys"), settings.surveys_dir)
        _dagster(settings, shelf, kept.part("dagster"))
        _inbox(settings, shelf, kept.part("inbox"))
        tell(f"databases   {sum(len(kept.part(p).facts.get('rows', {})) for p in ('dagster', 'inbox'))} tables")
    restored.by_hand = _settings(settings, kept.part("settings"))
    return restored


def _refuse_unfit(settings: Settings, kept: BackupSet) -> None:
    for name, made_with in kept.versions.items():
        if version(name) != made_with:
            raise BackupError(
                f"{kept.name} was made with {name} {made_with}, here is {version(name)}: install that version, "
                "restore, then run 'reefline upgrade'"
            )
    if is_running(settings.home):
        raise BackupError(f"reefline runs on {settings.home}: stop it first")
    kinds = {"dagster": "postgres" if dagster_database(settings) else "sqlite"}
    kinds["inbox"] = "sqlite" if inbox_file(settings) else "postgres"
    for part, kind in kinds.items():
        held = kept.part(part).facts.get("kind", kind)
        if held != kind:
            text = f"{part} was on {held}, here it is on {kind}: set its URL to an empty database of that kind"
            raise BackupError(f"{kept.name}: {text}")
    filled = occupied(settings)
    if filled:
        raise BackupError(f"not empty: {', '.join(filled)}. A backup goes back only into an empty installation")


def occupied(settings: Settings) -> list[str]:
    """Parts of an installation that hold something."""
    filled = []
    store = open_store(settings.store)
    if next((key for key in store.keys("") if not key.startswith(PASSING)), None):
        filled.append(f"the store {store.url}")
    file = inbox_file(settings)
    if (file.exists() and Inbox(settings.inbox).last_id()) if file else not _no_rows(settings.inbox):
        filled.append("the inbox")
    if database := dagster_database(settings):
        if not empty_postgres(database):
            filled.append("Dagster's database")
    elif dagster_files(dagster_home(settings)) and _has_runs(settings):
        filled.append(f"Dagster's history in {dagster_home(settings)}")
    if (settings.home / "sandbox" / "sandbox.db").exists():
        filled.append(f"the CVAT sandbox in {settings.home}")
    return filled


def _no_rows(url: str) -> bool:
    return empty_postgres(url, [table.name for table in inbox_tables.sorted_tables])


def _has_runs(settings: Settings) -> bool:
    with dagster_instance(dagster_home(settings)) as instance:
        return instance.get_runs_count() > 0


def _store(settings: Settings, shelf: Shelf, part: Part) -> None:
    store = open_store(settings.store)
    for item in part.items:
        with shelf.file(item) as copy:
            store.put_file(item.path, copy)


def _folder(shelf: Shelf, part: Part, folder: Path) -> None:
    for item in part.items:
        target = folder / item.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            with shelf.file(item) as copy:
                shutil.copyfile(copy, target)


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


def _settings(settings: Settings, part: Part) -> list[str]:
    """Write the settings that came back where there are none; what must be set by hand."""
    if not part.facts:
        return []
    found, by_hand = unpack_settings(part.facts, settings.backup_passphrase.get_secret_value())
    path = settings.home / "reefline.env"
    if path.exists():
        path = settings.home / "restored.env"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_env(path, found)
    return [f"set {name} anew" for name in by_hand] + [f"settings came back as {path}: compare with yours"]
