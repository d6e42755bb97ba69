"""Dagster's storage of an installation, for commands and checks that are no part of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from resources.settings import Settings

URL_VARIABLE = "REEFLINE_DAGSTER_URL"


class NoDagsterHome(RuntimeError):
    """There is no Dagster home; the message says what to do."""


def dagster_home(settings: Settings) -> Path:
    """Where Dagster's settings lie, and its SQLite files: ``DAGSTER_HOME``, or the embedded place."""
    return Path(os.environ.get("DAGSTER_HOME") or settings.home / "dagster").resolve()


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
