"""Dagster's storage of an installation, for commands and checks that are no part of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
import yaml

from resources.settings import Settings, with_driver

URL_VARIABLE = "REEFLINE_DAGSTER_URL"


class NoDagsterHome(RuntimeError):
    """There is no Dagster home; the message says what to do."""


def dagster_home(settings: Settings) -> Path:
    """Where Dagster's settings lie, and its SQLite files: ``DAGSTER_HOME``, or the embedded place."""
    return Path(os.environ.get("DAGSTER_HOME") or settings.home / "dagster").resolve()


def dagster_database(settings: Settings) -> str:
    """URL of Dagster's Postgres database; empty where Dagster keeps SQLite files.

    Without ``REEFLINE_DAGSTER_URL`` it is what the installation's own ``dagster.yaml`` says: in containers that names
    the database by ``DAGSTER_PG_...`` variables.
    """
    if settings.dagster:
        return settings.dagster
    path = dagster_home(settings) / "dagster.yaml"
    told = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    storage = ((told or {}).get("storage") or {}).get("postgres") or {}
    if "postgres_url" in storage:
        return with_driver(_value(storage["postgres_url"]))
    parts = {name: _value(value) for name, value in (storage.get("postgres_db") or {}).items() if name != "params"}
    if not parts.get("hostname"):
        return ""
    url = sa.URL.create(
        "postgresql+psycopg2",
        username=parts.get("username") or None,
        password=parts.get("password") or None,
        host=parts["hostname"],
        port=int(parts.get("port") or 5432),
        database=parts.get("db_name") or None,
        query={name: str(value) for name, value in ((storage["postgres_db"].get("params")) or {}).items()},
    )
    return url.render_as_string(hide_password=False)


def _value(told: Any) -> str:
    """A value of Dagster's configuration, which may stand in an environment variable."""
    return os.environ.get(str(told.get("env")), "") if isinstance(told, Mapping) else str(told)


@contextmanager
def dagster_instance(home: Path, url: str = "") -> Iterator[dg.DagsterInstance]:
    """Open Dagster's storage.

    Args:
        home: folder with ``dagster.yaml``.
        url: of its Postgres database, for a ``dagster.yaml`` that takes it from the environment.

    Raises:
        NoDagsterHome: there is no ``dagster.yaml``.
    """
    if not (home / "dagster.yaml").is_file():
        raise NoDagsterHome(f"{home} holds no dagster.yaml: start the installation once, or set DAGSTER_HOME")
    before = os.environ.get(URL_VARIABLE)
    if url:
        os.environ[URL_VARIABLE] = url
    try:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            yield instance
    finally:
        if url:
            os.environ.pop(URL_VARIABLE)
            if before is not None:
                os.environ[URL_VARIABLE] = before
