"""Dagster's home of an installation: its ``dagster.yaml``, and its database (SQLite files, or Postgres)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
import yaml

from deploy.local.supervisor import RuntimeProblem
from orchestration.instance import URL_VARIABLE, dagster_instance


def write_config(dagster_home: Path, *, postgres: bool) -> None:
    """Write ``dagster.yaml``; the database's address, with its password, stays in the environment."""
    text = _template().read_text(encoding="utf-8")
    if postgres:
        storage = {"storage": {"postgres": {"postgres_url": {"env": URL_VARIABLE}}}}
        text = f"{text.rstrip()}\n{yaml.safe_dump(storage)}"
    dagster_home.mkdir(parents=True, exist_ok=True)
    (dagster_home / "dagster.yaml").write_text(text, encoding="utf-8")


def _template() -> Path:
    path = Path(__file__).resolve().parents[2] / "dagster.yaml"
    return path if path.is_file() else Path(__file__).with_name("dagster.yaml")


def make_storage(dagster_home: Path, env: Mapping[str, str]) -> None:
    """Make Dagster's tables once, before several processes start and each finds none (SQLite has no lock for it).

    Raises:
        RuntimeProblem: the database does not answer.
    """
    if not env.get(URL_VARIABLE) and (dagster_home / "schedules").exists():
        return
    if env.get(URL_VARIABLE):
        _reachable(env[URL_VARIABLE])
    with dagster_instance(dagster_home, env.get(URL_VARIABLE, "")) as instance:
        instance.get_runs_count()
        instance.fetch_materializations(dg.AssetKey(["images", "raw"]), limit=1)
        instance.all_instigator_state()


def _reachable(url: str) -> None:
    """Say in one line what Dagster would say in a page, after many tries."""
    engine = sa.create_engine(url, connect_args={"connect_timeout": 5})
    try:
        with engine.connect():
            return
    except sa.exc.SQLAlchemyError as error:
        place = sa.engine.make_url(url).render_as_string(hide_password=True)
        why = str(error.args[0]).strip().splitlines()[0]
        raise RuntimeProblem(f"Dagster's database {place} cannot be used: {why}") from error
    finally:
        engine.dispose()
