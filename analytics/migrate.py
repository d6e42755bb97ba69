"""ClickHouse migrations: numbered ``.sql`` files under ``schema/``, applied once, in order. Planning only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number     UInt32,
    name       String,
    sha256     String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY number
"""
"""Which migrations a database has."""


class MigrationError(RuntimeError):
    """The database and the files do not fit together; the message says how."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. ``statements`` are its SQL statements, in order."""

    number: int
    name: str
    sha256: str
    statements: tuple[str, ...]


def migrations() -> list[Migration]:
    """All migrations, in order."""
    folder = resources.files("analytics") / "schema"
    found = []
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".sql"):
            text = file.read_text(encoding="utf-8")
            statements = tuple(s.strip() for s in text.split(";\n") if s.strip().rstrip(";"))
            digest = hashlib.sha256(text.encode()).hexdigest()
            found.append(Migration(int(file.name[:4]), file.name, digest, statements))
    return found


def missing(applied: Mapping[int, str]) -> list[Migration]:
    """Migrations that a database still needs.

    Args:
        applied: number -> sha256 of what it has.

    Raises:
        MigrationError: an applied file has changed since, or the database is newer than this code.
    """
    known = {m.number: m for m in migrations()}
    for number, digest in applied.items():
        if number not in known:
            raise MigrationError(
                f"the database has migration {number}, which this version does not know: upgrade reefline"
            )
        if known[number].sha256 != digest:
            raise MigrationError(f"{known[number].name} has changed since it was applied: add a new file instead")
    return [m for number, m in sorted(known.items()) if number not in applied]
