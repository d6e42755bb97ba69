"""All checks of an installation, by area."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import dagster as dg

from orchestration.cli.cvat import declare
from orchestration.doctor.cvat import check_cvat
from orchestration.doctor.dagster import check_daemons, check_pools, check_runs
from orchestration.doctor.data import (
    check_clickhouse,
    check_cvat_database,
    check_dagster_database,
    check_inbox,
    check_store,
    check_version,
)
from orchestration.doctor.findings import AREAS, Finding, Level, one_line
from orchestration.doctor.machine import check_clock, check_disk, check_gpu, check_ports, check_settings
from orchestration.doctor.models import check_models, check_surveys
from orchestration.doctor.services import check_grafana, check_nuclio, check_receiver
from orchestration.instance import dagster_database, dagster_home, dagster_instance
from resources.bundle import make_cvat
from resources.clickhouse import ClickHouse
from resources.inbox import Inbox
from resources.models import InstalledModels
from resources.object_store import open_store
from resources.settings import Settings
from resources.surveys import SurveyCatalog

Check = Callable[[], Iterator[Finding]]


def examine(
    settings: Settings, instance: dg.DagsterInstance | None = None, areas: Collection[str] = AREAS
) -> dict[str, list[Finding]]:
    """Look at everything.

    Args:
        settings: of the installation.
        instance: Dagster's storage, where the caller has it open.
        areas: look at these only.
    """
    store, home = open_store(settings.store), dagster_home(settings)
    catalog = SurveyCatalog(settings.surveys_dir)
    surveys = catalog.all()[0]
    checks: dict[str, list[Check]] = {
        "settings": [lambda: check_settings(settings)],
        "machine": [
            lambda: check_disk(settings),
            lambda: check_ports(settings.home),
            lambda: check_clock(settings),
            lambda: check_gpu(settings.device),
        ],
        "data": [
            lambda: check_store(store),
            lambda: check_version(store),
            lambda: check_inbox(Inbox(settings.inbox)),
            lambda: check_dagster_database(home, dagster_database(settings)),
            lambda: check_clickhouse(ClickHouse(settings.clickhouse)),
        ],
        "surveys": [lambda: check_surveys(catalog), lambda: check_models(InstalledModels(store), surveys)],
        "services": [
            lambda: check_receiver(settings.receiver),
            lambda: check_grafana(settings.grafana_url),
            lambda: check_nuclio(settings.nuclio_url),
        ],
        "cvat": [
            lambda: check_cvat(make_cvat(settings), lambda: declare(settings, surveys), surveys),
            lambda: check_cvat_database(settings.cvat_database),
        ],
    }
    checks["dagster"] = [lambda: _dagster(settings, instance)]
    wanted = {area: several for area, several in checks.items() if area in areas}
    return {area: [f for check in several for f in _guarded(area, check)] for area, several in wanted.items()}


def _dagster(settings: Settings, given: dg.DagsterInstance | None) -> Iterator[Finding]:
    home = dagster_home(settings)
    if given is None and not (home / "dagster.yaml").is_file():
        fix = "start the installation once ('reefline up'), or set DAGSTER_HOME"
        yield Finding("Dagster", Level.WARN, f"there is no dagster.yaml in {home}", fix)
        return
    with _opened(settings, given) as instance:
        for check in (check_daemons, check_pools, check_runs):
            yield from check(instance)


@contextmanager
def _opened(settings: Settings, given: dg.DagsterInstance | None) -> Iterator[dg.DagsterInstance]:
    if given is not None:
        yield given
        return
    with dagster_instance(dagster_home(settings), settings.dagster) as instance:
        yield instance


def _guarded(area: str, check: Check) -> Iterator[Finding]:
    """One part that fails in an unforeseen way must not hide what is wrong with the others."""
    try:
        yield from check()
    except Exception as error:
        text = f"could not be looked at: {type(error).__name__}: {one_line(error)}"
        yield Finding(area, Level.FAIL, text, "see the other findings; if they say nothing, report this as a bug")
