"""Fixtures of all rooms."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from bench.postgres import NoPostgresError, Postgres

settings.register_profile("reefline", deadline=None)  # a busy machine is no failure
settings.load_profile("reefline")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script's background hands on that Ctrl-C is ignored; tests press it on what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared reference data beside the repository; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the reference data in {folder.name}/ beside the repository, which is not there")
    return folder


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A Postgres server on loopback; tests that need it are skipped where Postgres is not installed."""
    try:
        with Postgres() as server:
            yield server
    except NoPostgresError as error:
        pytest.skip(str(error))
