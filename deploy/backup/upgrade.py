"""Moving an installation to the installed version: a backup first, then every database's migrations, forward only.

Each step may be repeated. The store remembers at which one a move stands, so a move that broke off is gone on with, and
the way back stays the backup that was made before its first step.
"""

from __future__ import annotations

from collections.abc import Callable

from deploy.backup.shelf import BackupError, Shelf, Tell
from deploy.backup.standing import refuse_running
from deploy.backup.take import take_backup
from orchestration.instance import dagster_database, dagster_home, dagster_instance
from resources.clickhouse import ClickHouse
from resources.inbox import Inbox
from resources.object_store import open_store
from resources.settings import Settings
from resources.version_record import Record, own_record, record, recorded, refuse_older

Step = Callable[[Settings, Tell], None]


def upgrade(settings: Settings, shelf: Shelf | None, tell: Tell = lambda _: None) -> Record:
    """Bring every database to this version.

    Args:
        settings: of the installation, which must stand still.
        shelf: where the backup goes; ``None`` where the operator has one of another kind.
        tell: told what is done.

    Raises:
        WrongVersionError: this software is older than the installation.
        BackupError: it runs, the backup found damage, or a step failed; the message says how to go on and how back.
    """
    store = open_store(settings.store)
    refuse_older(store)
    refuse_running(settings)
    before = recorded(store)
    if before is not None and before.unfinished:
        tell(f"going on with the upgrade that broke off at {before.unfinished}; the way back is {_way_back(before)}")
        backup = before.backup
    else:
        backup = _backup(settings, shelf, before, tell)
    for name, step in STEPS.items():
        record(store, own_record(backup, name))
        try:
            step(settings, tell)
        except Exception as error:  # whatever a database's driver throws
            said = str(error).strip().splitlines()
            raise BackupError(
                f"the upgrade broke off at {name}: {said[0] if said else type(error).__name__}. Mend that and run "
                f"'reefline upgrade' again; nothing else may start until then. "
                f"The way back is {_way_back(own_record(backup))}"
            ) from error
    done = own_record(backup)
    record(store, done)
    return done


def _backup(settings: Settings, shelf: Shelf | None, before: Record | None, tell: Tell) -> str | None:
    """A set of the version that the data is of, so that the software of that version takes it back."""
    if shelf is None:
        return None
    versions = {"reefline": before.version, "dagster": before.dagster} if before and before.dagster else None
    made = take_backup(settings, shelf, tell, versions=versions)
    if made.problems:
        raise BackupError(f"the backup {made.name} is not whole, nothing was changed: {made.problems[0]}")
    return made.name


def _way_back(found: Record) -> str:
    if not found.backup:
        return "the backup of your own"
    return (
        f"set {found.backup}: 'reefline restore {found.backup}' into an empty installation, with the version it names"
    )


def _inbox(settings: Settings, tell: Tell) -> None:
    Inbox(settings.inbox).writable()
    tell("inbox: its tables are those of this version")


def _dagster(settings: Settings, tell: Tell) -> None:
    with dagster_instance(dagster_home(settings), dagster_database(settings)) as instance:
        instance.upgrade(tell)


def _clickhouse(settings: Settings, tell: Tell) -> None:
    with ClickHouse(settings.clickhouse).session() as session:
        done = session.migrate()
    tell(f"clickhouse: {', '.join(done) or 'nothing to do'}")


STEPS: dict[str, Step] = {"inbox": _inbox, "dagster": _dagster, "clickhouse": _clickhouse}
