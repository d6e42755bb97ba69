"""Whether a backup could be put back: everything is read, hashed, and the databases are put back in a scratch place."""

from __future__ import annotations

import gzip
import hashlib
import tempfile
from collections.abc import Collection, Iterator
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa

from deploy.backup.clickhouse import load_clickhouse
from deploy.backup.databases import SUFFIX, count_sqlite, try_postgres
from deploy.backup.shelf import BackupError, BackupSet, Part, Shelf, Tell, blob_key
from orchestration.instance import dagster_database
from resources.object_store import MissingObjectError
from resources.settings import Settings

PARTS = ("dagster", "inbox", "store", "clickhouse", "sandbox", "cvat", "surveys", "settings")


def verify_backup(
    shelf: Shelf,
    name: str | None = None,
    parts: Collection[str] = PARTS,
    tell: Tell = lambda _: None,
    settings: Settings | None = None,
) -> tuple[BackupSet, list[str]]:
    """Read all of a set; what is wrong with it, each with the file it is wrong with.

    Pictures and tables are hashed. SQLite files are opened, checked and counted; rows of Postgres are counted and put
    into temporary tables of the databases in use; ClickHouse is put back into an empty chDB and compared.

    Args:
        shelf: where it lies.
        name: of the set; the newest when not given.
        parts: only these.
        tell: told what could not be tried.
        settings: of the installation whose Postgres is used to try; without, rows of Postgres are only counted.

    Raises:
        BackupError: there is no such set.
    """
    kept = shelf.read(name)
    problems = [problem for part in kept.parts if part in parts for problem in _hashes(shelf, part, kept.parts[part])]
    damaged = {line.partition(":")[0] for line in problems}
    for part in ("dagster", "inbox", "sandbox"):
        if part in parts:
            problems += _counts(shelf, part, kept.part(part), damaged)
            problems += _postgres(shelf, part, kept.part(part), damaged, _database(settings, part), tell)
    whole = not any(line.startswith("clickhouse/") for line in damaged)
    wanted = "clickhouse" in parts and bool(kept.part("clickhouse").facts.get("tables")) and whole
    if wanted and find_spec("chdb") is None:  # in our images, which use a server
        tell("clickhouse: its files are whole; there is no chDB here to put them back into")
    elif wanted:
        problems += _clickhouse(shelf, kept.part("clickhouse"))
    return kept, problems


def _hashes(shelf: Shelf, name: str, part: Part) -> Iterator[str]:
    for item in part.items:
        try:
            data = shelf.store.get(blob_key(item.sha256))
        except MissingObjectError:
            yield f"{name}/{item.path}: its bytes are gone ({shelf.store.uri(blob_key(item.sha256))})"
            continue
        if hashlib.sha256(data).hexdigest() != item.sha256:
            where = shelf.store.uri(blob_key(item.sha256))
            yield f"{name}/{item.path}: damaged, its bytes are not those that were kept ({where})"


def _counts(shelf: Shelf, name: str, part: Part, damaged: set[str]) -> Iterator[str]:
    rows: dict[str, int] = part.facts.get("rows", {})
    for item in part.items:
        if f"{name}/{item.path}" in damaged:
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


def _database(settings: Settings | None, part: str) -> str | None:
    """Address of the Postgres database in use for a part."""
    if settings is None or part == "sandbox":
        return None
    url = dagster_database(settings) if part == "dagster" else settings.inbox
    return url if url and url.startswith("postgresql") else None


def _postgres(shelf: Shelf, name: str, part: Part, damaged: set[str], url: str | None, tell: Tell) -> Iterator[str]:
    if part.facts.get("kind") != "postgres":
        return
    if url is None:
        tell(f"{name}: its rows are counted; no Postgres is in use here to put them back into")
        return
    known = {file.removeprefix(f"{name}/") for file in damaged}
    try:
        for problem in try_postgres(shelf, part, url, known):
            yield f"{name}/{problem}"
    except sa.exc.OperationalError as error:
        tell(f"{name}: its rows are counted; Postgres is away: {str(error).strip().splitlines()[0]}")


def _clickhouse(shelf: Shelf, part: Part) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="reefline-verify-") as scratch:
        try:
            load_clickhouse(shelf, part, f"chdb://{Path(scratch) / 'chdb'}", Path(scratch))
        except BackupError as error:
            yield f"clickhouse: {error}"
