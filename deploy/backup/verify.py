"""Whether a backup could be put back: everything is read, hashed, and the databases are put back in a scratch place."""

from __future__ import annotations

import gzip
import hashlib
import tempfile
from collections.abc import Collection, Iterator
from importlib.util import find_spec
from pathlib import Path

from deploy.backup.clickhouse import load_clickhouse
from deploy.backup.databases import SUFFIX, count_sqlite
from deploy.backup.shelf import BackupError, BackupSet, Part, Shelf, Tell, blob_key
from resources.object_store import MissingObjectError

PARTS = ("dagster", "inbox", "store", "clickhouse", "sandbox", "cvat", "surveys", "settings")


def verify_backup(
    shelf: Shelf, name: str | None = None, parts: Collection[str] = PARTS, tell: Tell = lambda _: None
) -> tuple[BackupSet, list[str]]:
    """Read all of a set; what is wrong with it, each with the file it is wrong with.

    Pictures and tables are hashed. SQLite files are opened, checked and counted; rows of Postgres are counted;
    ClickHouse is put back into an empty chDB and compared.

    Args:
        shelf: where it lies.
        name: of the set; the newest when not given.
        parts: only these.
        tell: told what could not be tried.

    Raises:
        BackupError: there is no such set.
    """
    kept = shelf.read(name)
    problems = [problem for part in kept.parts if part in parts for problem in _hashes(shelf, part, kept.parts[part])]
    damaged = {line.partition(":")[0] for line in problems}
    for part in ("dagster", "inbox", "sandbox"):
        problems += _counts(shelf, part, kept.part(part), damaged) if part in parts else ()
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


def _clickhouse(shelf: Shelf, part: Part) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="reefline-verify-") as scratch:
        try:
            load_clickhouse(shelf, part, f"chdb://{Path(scratch) / 'chdb'}", Path(scratch))
        except BackupError as error:
            yield f"clickhouse: {error}"
