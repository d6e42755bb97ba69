"""A throwaway Postgres server on loopback, real and durable, that can be stopped in every way and started again."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from deploy.local.loopback import HOST, free_port


def program(name: str) -> str | None:
    """A program of Postgres' server: on the PATH, or where Debian hides it."""
    beside = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)  # noqa: PTH207 - absolute pattern
    return shutil.which(name) or next(iter(beside), None)


class NoPostgresError(RuntimeError):
    """Postgres is not to be had here."""


@dataclass(slots=True)
class Postgres:
    """A server; ``initdb`` refuses to work as root, so root runs it as ``nobody``. Use as a context manager."""

    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    _folder: Any = None
    _user: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Make a cluster and start it.

        Raises:
            NoPostgresError: there is no Postgres, or it cannot make a cluster.
        """
        initdb = program("initdb")
        if initdb is None or program("postgres") is None:
            raise NoPostgresError("needs Postgres' initdb and postgres")
        self._user = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
        self._folder = tempfile.TemporaryDirectory(prefix="reefline-pg-")
        if self._user:
            shutil.chown(self._folder.name, "nobody")
        make = [initdb, "-D", self.data, "-U", "reefline", "-A", "trust", "-E", "UTF8", "--no-sync"]
        made = subprocess.run(make, cwd="/", capture_output=True, check=False, **self._user)
        if made.returncode:
            raise NoPostgresError(f"initdb fails: {made.stderr.decode().strip()[-200:]}")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it and remove everything."""
        self.stop()
        self._folder.cleanup()

    @property
    def data(self) -> str:
        """Folder of the cluster."""
        return str(Path(self._folder.name) / "db")

    def url(self, database: str = "postgres") -> str:
        """Address of a database."""
        return f"postgresql+psycopg2://reefline@{HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        serve = [str(program("postgres")), "-D", self.data, "-p", str(self.port), "-c", f"listen_addresses={HOST}"]
        serve += ["-k", self._folder.name, "-c", "max_connections=200"]
        with (Path(self._folder.name) / "log").open("ab") as log:
            self.process = subprocess.Popen(serve, cwd="/", stdout=log, stderr=log, **self._user)
        engine = sa.create_engine(self.url())
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(sa.exc.OperationalError), engine.connect():
                break
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise NoPostgresError(
                    f"Postgres does not start: {(Path(self._folder.name) / 'log').read_text()[-500:]}"
                )
            time.sleep(0.05)
        engine.dispose()

    def stop(self, how: int = signal.SIGINT) -> None:
        """Stop it: SIGINT is fast and clean, SIGQUIT immediate, as if the power had failed."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)

    def new_database(self, prefix: str = "reef") -> str:
        """The URL of a new, empty database."""
        name = f"{prefix}_{secrets.token_hex(4)}"
        engine = sa.create_engine(self.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"create database {name}")
        engine.dispose()
        return self.url(name)
