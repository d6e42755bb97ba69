"""Whether an installation stands still, as restoring and upgrading need it."""

from __future__ import annotations

import time

import sqlalchemy as sa

from deploy.backup.shelf import BackupError
from deploy.local.supervisor import is_running
from orchestration.instance import dagster_database, dagster_home, dagster_instance
from resources.settings import Settings

SIGN_S = 60.0
"""A daemon that runs has given a sign within half a minute."""


def refuse_running(settings: Settings) -> None:
    """Stop where an installation is at work: processes of this machine hold its lock, containers have a daemon.

    Raises:
        BackupError: it is; the message says what to stop.
    """
    if is_running(settings.home):
        raise BackupError(f"reefline runs on {settings.home}: stop it first")
    database = dagster_database(settings)
    if not database or (settings.home / "lock").exists() or not (dagster_home(settings) / "dagster.yaml").is_file():
        return
    try:
        with dagster_instance(dagster_home(settings), database) as instance:
            signs = [sign.timestamp for sign in instance.get_daemon_heartbeats().values()]
    except sa.exc.SQLAlchemyError:
        return  # what needs the database says so
    age = time.time() - max(signs, default=0.0)
    if age < SIGN_S:
        raise BackupError(
            f"Dagster's daemon gave a sign of life {age:.0f} s ago: stop daemon, webserver, watch, code and receiver, "
            f"and try again after {SIGN_S:.0f} s"
        )
