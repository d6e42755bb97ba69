"""Which version an installation is at: kept in its store, so that older software does not touch newer databases.

Databases go forward only. The record is made when an installation is first started, and moved by ``reefline upgrade``.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from resources.object_store import MissingObjectError, ObjectStore

logger = logging.getLogger(__name__)

KEY = "platform/version.json"


class WrongVersionError(RuntimeError):
    """This software does not fit the installation; the message says what to install, to run, or to restore."""


@dataclass(frozen=True, slots=True)
class Record:
    """What an installation is at.

    Attributes:
        version: of reefline, that its databases were made by or moved to.
        when: it was made or moved, ISO 8601.
        backup: the set that was made before the move.
        dagster: version of Dagster, empty in records of earlier software.
        unfinished: the step of a move at which it stands; empty when it is whole.
    """

    version: str
    when: str
    backup: str | None
    dagster: str = ""
    unfinished: str = ""


def own_record(backup: str | None = None, unfinished: str = "") -> Record:
    """What an installation is at that the installed software makes or moves now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Record(version("reefline"), now, backup, version("dagster"), unfinished)


def recorded(store: ObjectStore) -> Record | None:
    """What the store remembers, ``None`` when nothing."""
    try:
        return Record(**json.loads(store.get(KEY)))
    except MissingObjectError:
        return None


def record(store: ObjectStore, what: Record) -> None:
    """Remember it."""
    store.put(KEY, encoded(what))


def encoded(what: Record) -> bytes:
    """A record as it is kept."""
    return json.dumps(asdict(what)).encode()


def refuse_older(store: ObjectStore, own: str | None = None) -> None:
    """Stop software that is older than the installation.

    Args:
        store: of the installation.
        own: version of the software; default: the installed one.

    Raises:
        WrongVersionError: it is older; the message names the backup that leads back.
    """
    found, own = recorded(store), own or version("reefline")
    if found is not None and _number(own) < _number(found.version):
        way = (
            f"restore {found.backup} into an empty installation" if found.backup else "there is no backup to go back to"
        )
        raise WrongVersionError(
            f"this installation was moved to reefline {found.version}, here is {own}: install that, or {way}"
        )


def check_in(store: ObjectStore, *, first: bool) -> None:
    """What software does before it starts: older software stops; a store that is away stops nobody from starting.

    Args:
        store: of the installation.
        first: remember the installed version where nothing is remembered yet.

    Raises:
        WrongVersionError: it is older, or a move to this version has broken off.
    """
    try:
        refuse_older(store)
        found = recorded(store)
        if first and found is None:
            store.put_if_absent(KEY, encoded(own_record()))
    except WrongVersionError:
        raise
    except Exception as error:  # a bucket's errors have no common ground
        logger.warning("the version of the installation cannot be read: %s", error)
        return
    if found is not None and found.unfinished:
        raise WrongVersionError(f"an upgrade broke off at {found.unfinished}: run 'reefline upgrade' again")


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("+", maxsplit=1)[0].split(".") if part.isdigit())
