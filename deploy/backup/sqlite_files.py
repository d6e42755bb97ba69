"""SQLite databases as files: copied by SQLite's online backup, each of one moment, also while they are written to."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from deploy.backup.shelf import BackupError, Part, Shelf


def dump_sqlite(shelf: Shelf, files: dict[str, Path], scratch: Path) -> Part:
    """Copies of SQLite files, each of one moment, also while they are written to."""
    part = Part(facts={"kind": "sqlite", "rows": {}, "content": {}})
    for name, path in sorted(files.items()):
        copy = scratch / "copy.db"
        copy.unlink(missing_ok=True)
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source, closing(sqlite3.connect(copy)) as to:
            source.backup(to)
            to.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        part.facts["rows"] |= {f"{name}:{table}": rows for table, rows in count_sqlite(copy).items()}
        part.facts["content"][name] = content_of(copy)
        part.items.append(shelf.keep_file(name, copy))
    return part


def content_of(path: Path) -> str:
    """A hash of all rows of a SQLite file: its bytes differ with every opening, its content does not."""
    found = hashlib.sha256()
    with closing(sqlite3.connect(path)) as database:
        names = [n for (n,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
        for name in names:
            found.update(name.encode())
            for row in database.execute(f'SELECT * FROM "{name}" ORDER BY 1'):  # noqa: S608 - its own name
                found.update(repr(row).encode())
    return found.hexdigest()


def count_sqlite(path: Path) -> dict[str, int]:
    """Rows of each table of a SQLite file.

    Raises:
        BackupError: SQLite finds it damaged.
    """
    try:
        with closing(sqlite3.connect(path)) as database:
            [(verdict,)] = database.execute("PRAGMA integrity_check(1)").fetchall()
            if verdict != "ok":
                raise BackupError(f"{path.name} is damaged: {verdict}")
            names = [n for (n,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
            return {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{path.name} is no SQLite database: {error}") from error


def load_sqlite(shelf: Shelf, part: Part, places: dict[str, Path] | Path) -> None:
    """Put SQLite files back: by name, or below one folder."""
    for item in part.items:
        target = places / item.path if isinstance(places, Path) else places[item.path]
        target.parent.mkdir(parents=True, exist_ok=True)
        with shelf.file(item) as copy:
            shutil.copyfile(copy, target)
