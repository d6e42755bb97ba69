"""``python -m deploy.compose.setup``: what an installation of containers needs before its services start.

Refuses software that is older than the installation, makes the inbox's tables with the rights of their owner (the
receiver's role may not), and sets the limits of Dagster's pools. All may be repeated at every start.
"""

from __future__ import annotations

import os
import re
import sys

from sqlalchemy.exc import SQLAlchemyError

from resources.inbox import Inbox
from resources.object_store import StoreError, open_store
from resources.settings import SettingsError, load_settings
from resources.version_record import WrongVersionError, check_in

POOLS = "DEPLOY_POOLS"
USER_ERROR = 2


def pools(text: str) -> dict[str, int]:
    """Limits by pool, from ``name=number`` words.

    Raises:
        SettingsError: it says something else.
    """
    found = {}
    for word in text.split():
        match = re.fullmatch(r"([a-z_]+)=([1-9][0-9]*)", word)
        if not match:
            raise SettingsError(f"{POOLS}: {word!r} is not of the form pool=number, e.g. gpu=1")
        found[match.group(1)] = int(match.group(2))
    return found


def set_limits(limits: dict[str, int]) -> None:
    """Set the limits in the Dagster instance of this environment, as ``dagster instance concurrency set`` does."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        for name, slots in limits.items():
            instance.event_log_storage.set_concurrency_slots(name, slots)
            print(f"pool {name}: {slots}")


def main() -> int:
    """Set up; 2 when a setting is wrong or the database does not answer."""
    try:
        limits = pools(os.environ.get(POOLS, ""))
        settings = load_settings()
        check_in(open_store(settings.store), first=True)
        inbox = Inbox(settings.inbox)
        inbox.writable()
    except (SettingsError, SQLAlchemyError, StoreError, WrongVersionError) as error:
        print(f"setup: {str(error).splitlines()[0]}", file=sys.stderr)
        return USER_ERROR
    print(f"inbox ready: {inbox.place}")
    set_limits(limits)
    return 0


if __name__ == "__main__":
    sys.exit(main())
