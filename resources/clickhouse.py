"""ClickHouse: a server (``http(s)://user:password@host:8123/db``) or embedded chDB (``chdb:///folder``), one interface.

A chDB folder belongs to one process at a time, so an embedded session takes a file lock, opens late and closes early.
"""

from __future__ import annotations

import fcntl
import json
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


class ClickHouseUnavailable(RuntimeError):
    """ClickHouse cannot be used; the message says why."""


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
            raise ClickHouseUnavailable(f"REEFLINE_CLICKHOUSE_URL {self.url!r}: use http(s)://... or chdb:///folder")

    @staticmethod
    def _connected(tag: Mapping[str, str] | None, **options: Any) -> Iterator[Session]:
        import clickhouse_connect
        from clickhouse_connect.driver.exceptions import ClickHouseError

        try:
            client = clickhouse_connect.get_client(**options)
        except (ClickHouseError, OSError) as error:
            raise ClickHouseUnavailable(f"ClickHouse does not answer: {str(error).splitlines()[0]}") from error
        try:
            yield Session(client, dict(tag or {}))
        finally:
            client.close()


class Session:
    """An open connection."""

    def __init__(self, client: Any, tag: dict[str, str]) -> None:
        """Use a clickhouse-connect client."""
        self.client = client
        self._settings = {"log_comment": json.dumps(tag, sort_keys=True)} if tag else {}

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

    def insert(self, table: str, rows: pa.Table) -> int:
        """Append rows to a table; how many."""
        if rows.num_rows:
            self.client.insert_arrow(table, rows, settings=self._settings)
        return rows.num_rows

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """The result of a query."""
        return self.client.query_arrow(
            sql, parameters=dict(parameters or {}), settings=self._settings, use_strings=True
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
