"""The sandbox's objects: JSON documents in SQLite, by kind and id. One process, many threads."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Document = dict[str, Any]


class Store:
    """Documents in ``folder/sandbox.db`` and uploaded pictures below ``folder/data``."""

    def __init__(self, folder: Path) -> None:
        """Open or make the database."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self._db = sqlite3.connect(folder / "sandbox.db", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS documents (kind TEXT, id INTEGER, body TEXT, PRIMARY KEY (kind, id))"
        )
        self._db.execute("CREATE TABLE IF NOT EXISTS counters (kind TEXT PRIMARY KEY, last INTEGER)")
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes within are kept together or not at all; may be nested."""
        with self.lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    def next_id(self, kind: str, count: int = 1) -> int:
        """The first of ``count`` new ids; an id is never used twice, as in CVAT."""
        with self.transaction():
            row = self._db.execute("SELECT last FROM counters WHERE kind = ?", (kind,)).fetchone()
            last = row[0] if row else 0
            self._db.execute("INSERT OR REPLACE INTO counters VALUES (?, ?)", (kind, last + count))
        return last + 1

    def put(self, kind: str, document: Document) -> Document:
        """Keep a document under its ``id``."""
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, document["id"], json.dumps(document))
            )
        return document

    def get(self, kind: str, number: int) -> Document | None:
        """A document, ``None`` when there is none."""
        with self.lock:
            row = self._db.execute("SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, number)).fetchone()
        return json.loads(row[0]) if row else None

    def all(self, kind: str, **equal: Any) -> list[Document]:
        """Documents of a kind whose fields equal those given, by id."""
        with self.lock:
            rows = self._db.execute("SELECT body FROM documents WHERE kind = ? ORDER BY id", (kind,)).fetchall()
        documents = [json.loads(row[0]) for row in rows]
        return [d for d in documents if all(d.get(name) == value for name, value in equal.items())]

    def delete(self, kind: str, number: int) -> None:
        """Forget a document."""
        with self.transaction():
            self._db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, number))

    def media(self, task_id: int) -> Path:
        """Folder of a task's pictures."""
        return self.folder / "data" / str(task_id)


def now() -> str:
    """The time as CVAT writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
