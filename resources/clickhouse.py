"""ClickHouse: a server (``http(s)://user:password@host:8123/db``) or embedded chDB (``chdb:///folder``), one interface.

A chDB folder belongs to one process at a time, so an embedded session takes a file lock, opens late and closes early.
"""

from __future__ import annotations

import fcntl
import io
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pyarrow as pa

from analytics.migrate import LEDGER, missing

LOCK_TIMEOUT_S = 120.0
BATCH_ROWS = 65_536
"""Rows of a batch that is sent."""


class ClickHouseUnavailable(RuntimeError):
    """ClickHouse cannot be used; the message says why."""


class ClickHouseRefused(RuntimeError):
    """ClickHouse does not do what is asked; the message says why and what to do. Nothing was lost on our side."""


class SchemaIsOlderError(ClickHouseRefused):
    """The database lacks migrations of this version."""


class ClickHouse:
    """The analytics database. Connects when a session is opened."""

    def __init__(self, url: str) -> None:
        """Use the database at ``url``."""
        self.url = url
        # chDB allows one path per process, but any number of clients on it; one at a time is enough here.
        self._lock = threading.Lock()

    @contextmanager
    def session(self, tag: Mapping[str, str] | None = None) -> Iterator[Session]:
        """A connection; ``tag`` (run id, asset) is written beside every query into ClickHouse's query log.

        Raises:
            ClickHouseUnavailable: no connection, or another process keeps the embedded folder.
        """
        parts = urlparse(self.url)
        if parts.scheme == "chdb":
            with self._lock, _locked(Path(parts.path)):
                yield from self._connected(tag, interface="chdb", path=parts.path)
        elif parts.scheme in ("http", "https"):
            yield from self._connected(tag, dsn=self.url)
        else:
            raise ClickHouseUnavailable(
                f"REEFLINE_CLICKHOUSE_URL begins with {parts.scheme!r}: use http(s)://... or chdb:///folder"
            )

    @staticmethod
    def _connected(tag: Mapping[str, str] | None, **options: Any) -> Iterator[Session]:
        import clickhouse_connect
        from clickhouse_connect.driver.exceptions import ClickHouseError

        try:
            client = clickhouse_connect.get_client(**options)
        except (ClickHouseError, OSError) as error:
            raise explain(error) from error
        try:
            yield Session(client, dict(tag or {}))
        finally:
            client.close()


class Session:
    """An open connection."""

    def __init__(self, client: Any, tag: dict[str, str]) -> None:
        """Use a clickhouse-connect client."""
        self.client = client
        if tag:
            client.set_client_setting("log_comment", json.dumps(tag, sort_keys=True))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Errors of ClickHouse become lines that say what to do.

        Raises:
            ClickHouseUnavailable: it went away.
            ClickHouseRefused: it is full, read-only, or refuses otherwise.
        """
        from clickhouse_connect.driver.exceptions import ClickHouseError

        try:
            yield
        except ClickHouseError as error:
            raise explain(error) from error
        except OSError as error:
            raise ClickHouseUnavailable(f"ClickHouse went away: {error}") from error

    def check_schema(self) -> None:
        """Make sure that the tables are those of this version.

        Raises:
            SchemaIsOlderError: migrations are missing.
            MigrationError: the database is newer than this code.
        """
        there = self.client.command("EXISTS TABLE schema_migrations")
        applied = self.client.query("SELECT number, sha256 FROM schema_migrations FINAL").result_rows if there else []
        lacking = missing({int(number): str(digest) for number, digest in applied})
        if lacking:
            names = ", ".join(migration.name for migration in lacking)
            raise SchemaIsOlderError(f"the database lacks {names}: run 'reefline analytics migrate'")

    def migrate(self) -> list[str]:
        """Apply the missing migrations; their names."""
        self.client.command(LEDGER)
        done = []
        for migration in missing(self.applied()):
            for statement in migration.statements:
                self.client.command(statement)
            self.client.insert(
                "schema_migrations",
                [[migration.number, migration.name, migration.sha256]],
                column_names=["number", "name", "sha256"],
            )
            done.append(migration.name)
        return done

    def applied(self) -> dict[int, str]:
        """Hashes of the migrations that the database has, by number."""
        if not int(self.client.command("EXISTS TABLE schema_migrations")):
            return {}
        rows = self.client.query("SELECT number, sha256 FROM schema_migrations FINAL").result_rows
        return {int(number): str(digest) for number, digest in rows}

    def insert(self, table: str, rows: pa.Table, settings: Mapping[str, Any] | None = None) -> int:
        """Append rows to a table; how many. ``settings``: of ClickHouse, for this insert."""
        if rows.num_rows:
            self.client.raw_insert(
                table, rows.column_names, _stream(rows), settings=dict(settings or {}), fmt="ArrowStream"
            )
        return rows.num_rows

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Do something; what ClickHouse says to it."""
        return self.client.command(sql, parameters=dict(parameters or {}))

    def value(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """The only value of a query's result, ``None`` when it has no row."""
        found = self.query(sql, parameters)
        return found.column(0)[0].as_py() if found.num_rows else None

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """The result of a query."""
        return self.client.query_arrow(sql, parameters=dict(parameters or {}), use_strings=True)


def _stream(rows: pa.Table) -> Iterator[bytes]:
    """A table as an Arrow stream, piece by piece.

    ClickHouse reads a stream of small batches several times faster than a file with one large one, and the memory of a
    piece is used again for the next.
    """
    pieces: list[bytes] = []
    with pa.ipc.new_stream(_Pieces(pieces), rows.schema) as stream:
        for batch in rows.to_batches(BATCH_ROWS):
            stream.write_batch(batch)
            yield b"".join(pieces)
            pieces.clear()
    yield b"".join(pieces)


class _Pieces(io.RawIOBase):
    """A file that keeps what is written as a list."""

    def __init__(self, pieces: list[bytes]) -> None:
        super().__init__()
        self._pieces = pieces

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)


ADVICE = {
    16: "its tables are of another version: run 'reefline analytics migrate'",
    47: "its tables are of another version: run 'reefline analytics migrate'",
    60: "a table is missing: run 'reefline analytics migrate'",
    81: "the database is missing: create it, or correct REEFLINE_CLICKHOUSE_URL",
    164: "it is read-only for this user: use the writing user of analytics/access/users.sql",
    241: "the query needs more memory than it may take",
    242: "the table is read-only: look at the server's log and its disk",
    243: "its disk is full: make room",
    252: "it has too many parts to merge: it will take more in a while",
    396: "the answer is larger than this user may have: ask for a shorter period",
    497: "this user lacks the right: see analytics/access/users.sql",
    516: "user or password are wrong: see REEFLINE_CLICKHOUSE_URL",
}
"""What to do about an error, by ClickHouse's number."""


def explain(error: Exception) -> ClickHouseRefused | ClickHouseUnavailable:
    """An error of the driver as a line for people."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    number = re.search(r"[Cc]ode:? (\d+)", first)
    if number is None:
        return ClickHouseUnavailable(f"ClickHouse does not answer: {first[:300]}")
    advice = ADVICE.get(int(number[1]))
    return ClickHouseRefused(
        f"ClickHouse refuses: {advice} ({first[:200]})" if advice else f"ClickHouse: {first[:500]}"
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ClickHouseUnavailable(
                        f"{folder} has been in use by another process for {LOCK_TIMEOUT_S:.0f} s: try again later"
                    ) from error
                time.sleep(0.1)
        yield
