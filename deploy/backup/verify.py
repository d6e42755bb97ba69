"""Whether a backup could be put back: everything is read, hashed, and the databases are put back in a scratch place.

What is found is of two kinds that must not be mixed up: damage of the backup, and what could not be tried, because a
server is away or lets us not. The second says nothing about the backup.
"""

from __future__ import annotations

import gzip
import hashlib
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from deploy.backup.clickhouse import ClickHouseEndedError, load_clickhouse
from deploy.backup.cvat_database import PART as CVAT_DATABASE
from deploy.backup.cvat_database import cvat_database_url
from deploy.backup.postgres import SUFFIX
from deploy.backup.shelf import BackupError, BackupSet, Part, Shelf, blob_key
from deploy.backup.sqlite_files import count_sqlite
from deploy.backup.trial import try_postgres
from orchestration.instance import dagster_database
from resources.object_store import MissingObjectError
from resources.settings import Settings

PARTS = ("dagster", "inbox", CVAT_DATABASE, "store", "clickhouse", "sandbox", "cvat", "surveys", "settings")


@dataclass(slots=True)
class Verdict:
    """What a verification found.

    Attributes:
        kept: the set.
        damaged: what is wrong with it, each beginning with the file it is wrong with.
        untried: what should have been tried and could not be, each with the reason.
        remarks: what is never tried here, for there is nothing here to try it on.
    """

    kept: BackupSet
    damaged: list[str] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def verify_backup(
    shelf: Shelf, name: str | None = None, parts: Collection[str] = PARTS, settings: Settings | None = None
) -> Verdict:
    """Read all of a set, and try to put its databases back.

    Pictures and tables are hashed. SQLite files are opened, checked and counted; rows of Postgres are counted and put
    into temporary tables of the databases in use; ClickHouse is put back into an empty chDB and compared.

    Args:
        shelf: where it lies.
        name: of the set; the newest when not given.
        parts: only these.
        settings: of the installation whose Postgres is used to try; without, rows of Postgres are only counted.

    Raises:
        BackupError: there is no such set, or no such part.
    """
    if unknown := sorted(set(parts) - set(PARTS)):
        raise BackupError(f"no part {unknown[0]!r}: there are {', '.join(PARTS)}")
    found = Verdict(shelf.read(name))
    for part in (part for part in found.kept.parts if part in parts):
        _hashes(shelf, part, found)
    known = {line.partition(":")[0] for line in (*found.damaged, *found.untried)}
    if known and found.kept.name not in shelf.names():
        raise BackupError(f"{shelf.store.url} went away while it was read: bring it back and verify again")
    for part in ("dagster", "inbox", CVAT_DATABASE, "sandbox"):
        if part in parts:
            found.damaged += _counts(shelf, part, found.kept.part(part), known)
            _postgres(shelf, part, settings, known, found)
    whole = not any(file.startswith("clickhouse/") for file in known)
    if "clickhouse" in parts and found.kept.part("clickhouse").facts.get("tables") and whole:
        if find_spec("chdb") is None:  # in our images, which use a server
            found.remarks.append("clickhouse: its files are whole; there is no chDB here to put them back into")
        else:
            _clickhouse(shelf, found)
    return found


def _hashes(shelf: Shelf, name: str, found: Verdict) -> None:
    for item in found.kept.parts[name].items:
        where = shelf.store.uri(blob_key(item.sha256))
        try:
            data = shelf.store.get(blob_key(item.sha256))
        except MissingObjectError:
            found.damaged.append(f"{name}/{item.path}: its bytes are gone ({where})")
        except OSError as error:
            found.untried.append(f"{name}/{item.path}: could not be read: {error.strerror or error} ({where})")
        else:
            if hashlib.sha256(data).hexdigest() != item.sha256:
                text = f"{name}/{item.path}: damaged, its bytes are not those that were kept ({where})"
                found.damaged.append(text)


def _counts(shelf: Shelf, name: str, part: Part, known: Collection[str]) -> Iterator[str]:
    rows: dict[str, int] = part.facts.get("rows", {})
    for item in part.items:
        if f"{name}/{item.path}" in known:
            continue
        with shelf.file(item) as copy:
            if item.path.endswith(SUFFIX):
                table = item.path.removesuffix(SUFFIX)
                with gzip.open(copy) as lines:  # in COPY's text a row is a line
                    found = {table: sum(1 for _ in lines)}
            elif item.path.endswith(".db"):
                try:
                    found = {f"{item.path}:{table}": count for table, count in count_sqlite(copy).items()}
                except BackupError as error:
                    yield f"{name}/{item.path}: {error}"
                    continue
            else:
                continue
        for table, count in found.items():
            if rows.get(table) != count:
                yield f"{name}/{item.path}: {table} has {count} rows, {rows.get(table)} were kept"


def _database(settings: Settings | None, part: str) -> str:
    """Address of the Postgres database in use for a part; empty where there is none."""
    if settings is None:
        return ""
    if part == CVAT_DATABASE:
        return cvat_database_url(settings)
    url = dagster_database(settings) if part == "dagster" else settings.inbox
    return url if url.startswith("postgresql") else ""


def _postgres(shelf: Shelf, name: str, settings: Settings | None, known: Collection[str], found: Verdict) -> None:
    """Put the rows of a part that was on Postgres into the database in use, on trial."""
    part = found.kept.part(name)
    if part.facts.get("kind") != "postgres":
        return
    url = _database(settings, name)
    if not url:
        found.remarks.append(f"{name}: its rows are counted; no Postgres is in use here to put them back into")
        return
    trial = try_postgres(shelf, part, url, {file.removeprefix(f"{name}/") for file in known})
    found.damaged += [f"{name}/{problem}" for problem in trial.damaged]
    for reason, tables in trial.untried.items():
        which = tables[0] if len(tables) == 1 else f"{len(tables)} tables ({', '.join(tables[:3])}, ...)"
        found.untried.append(f"{name}: {which} could not be tried: {reason}")


def _clickhouse(shelf: Shelf, found: Verdict) -> None:
    with tempfile.TemporaryDirectory(prefix="reefline-verify-") as scratch:
        try:
            load_clickhouse(shelf, found.kept.part("clickhouse"), f"chdb://{Path(scratch) / 'chdb'}", Path(scratch))
        except (ClickHouseEndedError, OSError) as error:  # killed, or the scratch disk is full
            found.untried.append(f"clickhouse: could not be tried: {error}")
        except BackupError as error:
            found.damaged.append(f"clickhouse: {error}")
