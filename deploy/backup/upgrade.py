"""Moving an installation to the installed version: a backup first, then every database's migrations, forward only.

The store remembers which version an installation was moved to. Software that is older refuses to touch it: databases do
not go back by themselves, a backup does.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from deploy.backup.shelf import BackupError, Shelf, Tell
from deploy.backup.take import take_backup
from deploy.local.supervisor import is_running
from orchestration.instance import dagster_home, dagster_instance
from resources.clickhouse import ClickHouse
from resources.inbox import Inbox
from resources.object_store import MissingObjectError, ObjectStore, open_store
from resources.settings import Settings

KEY = "platform/version.json"


@dataclass(frozen=True, slots=True)
class Record:
    """Which version an installation was last moved to. ``backup``: the set that was made before."""

    version: str
    when: str
    backup: str | None


def recorded(store: ObjectStore) -> Record | None:
    """What the store remembers, ``None`` when it was never upgraded."""
    try:
        return Record(**json.loads(store.get(KEY)))
    except MissingObjectError:
        return None


def refuse_older(store: ObjectStore, own: str | None = None) -> None:
    """Stop software that is older than what the installation was moved to.

    Raises:
        BackupError: it is older; the message names the backup that leads back.
    """
    found, own = recorded(store), own or version("reefline")
    if found is not None and _number(own) < _number(found.version):
        way = (
            f"restore {found.backup} into an empty installation" if found.backup else "there is no backup to go back to"
        )
        raise BackupError(
            f"this installation was moved to reefline {found.version}, here is {own}: install that, or {way}"
        )


def upgrade(settings: Settings, shelf: Shelf | None, tell: Tell = lambda _: None) -> Record:
    """Bring every database to this version.

    Args:
        settings: of the installation, which must stand still.
        shelf: where the backup goes; ``None`` where the operator has one of another kind.
        tell: told what is done.

    Raises:
        BackupError: it runs, this software is older, or the backup found damage.
    """
    store = open_store(settings.store)
    refuse_older(store)
    if is_running(settings.home):
        raise BackupError(f"reefline runs on {settings.home}: stop it first")
    made = None
    if shelf is not None:
        made = take_backup(settings, shelf, tell)
        if made.problems:
            raise BackupError(f"the backup {made.name} found damage, nothing was changed: {made.problems[0]}")
    Inbox(settings.inbox).writable()
    tell("inbox: its tables are those of this version")
    with dagster_instance(dagster_home(settings), settings.dagster) as instance:
        instance.upgrade(tell)
    with ClickHouse(settings.clickhouse).session() as session:
        done = session.migrate()
    tell(f"clickhouse: {', '.join(done) or 'nothing to do'}")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    record = Record(version("reefline"), now, made.name if made else None)
    store.put(KEY, json.dumps(asdict(record)).encode())
    return record


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("+", maxsplit=1)[0].split(".") if part.isdigit())
