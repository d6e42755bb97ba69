"""Connections and transactions of the inbox, on SQLite and on Postgres."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from resources.inbox.model import InboxError, InboxUnavailable
from resources.inbox.tables import SCHEMA_VERSION, meta, metadata

_WRITE = "reefline_write"
_SCHEMA_LOCK = 4703121
"""Number of the Postgres advisory lock under which tables are made; any constant will do."""


class Database:
    """Transactions on the inbox database; connects at first use, makes its tables when they are missing."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """Prepare; ``timeout_s`` bounds the wait for a lock or a connection."""
        try:
            self.url = sa.make_url(url)
        except sa.exc.ArgumentError as error:
            raise InboxError(
                "the inbox URL is not an SQLAlchemy URL: use sqlite:///folder/inbox.db or postgresql+psycopg2://..."
            ) from error
        if self.url.get_backend_name() not in ("sqlite", "postgresql"):
            raise InboxError(f"no inbox on {self.url.get_backend_name()}: use sqlite:/// or postgresql+psycopg2://")
        self.sqlite = self.url.get_backend_name() == "sqlite"
        if self.sqlite and not self.url.database:
            raise InboxError("an inbox in memory would lose deliveries: give a file, sqlite:///folder/inbox.db")
        self._timeout_s = timeout_s
        self._engine: sa.Engine | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with self._transaction(write=False) as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that writes; on SQLite it holds the write lock from the start, so it never fails half-way."""
        with self._transaction(write=True) as connection:
            yield connection

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[sa.Connection]:
        """A writing transaction of those who change reviews: one at a time. Inserting deliveries goes on beside it."""
        with self.write() as connection:
            connection.execute(sa.select(meta.c.value).where(meta.c.key == "seq").with_for_update()).one()
            yield connection

    def create(self) -> None:
        """Make tables that are missing, and check the schema version. Safe to repeat and to race.

        Raises:
            InboxError: the database belongs to another version of reefline.
            InboxUnavailable: it cannot be reached.
        """
        with self._lock:
            if self._engine is None:
                engine = self._make_engine()
                with _translated(), engine.connect().execution_options(**{_WRITE: True}) as connection:
                    with connection.begin():
                        self._make_tables(connection)
                self._engine = engine

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    @contextlib.contextmanager
    def _transaction(self, *, write: bool) -> Iterator[sa.Connection]:
        if self._engine is None:
            self.create()
        engine = self._engine
        if engine is None:  # closed by another thread in between
            raise InboxUnavailable("the inbox is being closed")
        with _translated(), engine.connect().execution_options(**{_WRITE: write}) as connection:
            with connection.begin():
                yield connection

    def _make_tables(self, connection: sa.Connection) -> None:
        if not self.sqlite:
            connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
        metadata.create_all(connection)
        found = dict(connection.execute(sa.select(meta.c.key, meta.c.value)).tuples().all())
        for key, value in (("schema_version", SCHEMA_VERSION), ("seq", 0)):
            if key not in found:
                connection.execute(meta.insert().values(key=key, value=value))
        version = found.get("schema_version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            raise InboxError(
                f"the inbox has schema version {version}, this reefline needs {SCHEMA_VERSION}: "
                "run the matching version of reefline, or start with a new inbox database"
            )

    def _make_engine(self) -> sa.Engine:
        timeout = max(1, round(self._timeout_s))
        if not self.sqlite:
            return sa.create_engine(
                self.url,
                pool_pre_ping=True,
                pool_timeout=self._timeout_s,
                connect_args={"connect_timeout": timeout, "options": f"-c lock_timeout={timeout}s"},
            )
        Path(str(self.url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(self.url, connect_args={"timeout": self._timeout_s}, pool_timeout=self._timeout_s)
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine


def _prepare_sqlite(connection: object, _record: object) -> None:
    """WAL lets readers and one writer work at once; FULL makes a commit survive a power cut, not only a crash."""
    connection.isolation_level = None  # type: ignore[attr-defined]  # we begin transactions ourselves
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("pragma journal_mode=wal")
    cursor.execute("pragma synchronous=full")
    cursor.execute("pragma foreign_keys=on")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, True)
    connection.exec_driver_sql("begin immediate" if write else "begin")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        first = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
        raise InboxUnavailable(f"the inbox database does not answer: {first}") from error
    except SQLAlchemyError as error:
        raise InboxUnavailable(f"the inbox database does not answer: {type(error).__name__}") from error
    except OSError as error:
        raise InboxUnavailable(f"the inbox database cannot be opened: {error}") from error
