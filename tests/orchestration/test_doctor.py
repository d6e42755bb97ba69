"""``reefline doctor`` on prepared faults: each is named, with its next step; a healthy world is left in peace."""

from dataclasses import replace

import dagster as dg
import pytest

from bench.doctor_faults import FAULTS, World, judge
from orchestration.doctor.data import check_version
from orchestration.doctor.examine import examine
from orchestration.doctor.findings import AREAS, Level
from orchestration.health import platform_health
from resources.object_store import LocalStore
from resources.version_record import own_record, record


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("doctor") / "world") as made:
        yield made


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("orchestration.doctor.cvat.WORKER_S", 2.0)
    monkeypatch.setattr("resources.cvat.session.ATTEMPTS", 1)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_prepared_fault_is_named_with_its_next_step(world, fault):
    named, found = judge(world, fault)
    assert named is not None, found
    assert "secret@" not in str(found)


def test_a_healthy_installation_only_lacks_its_daemon(world):
    """It runs after the faults: each has been taken back."""
    found = examine(world.settings())
    assert set(found) == set(AREAS)
    wrong = [f for several in found.values() for f in several if f.level != Level.OK]
    assert [f.what for f in wrong] == ["Dagster daemon"], wrong


def test_the_asset_shows_the_findings_and_a_check_for_each_area(world):
    with world.dagster() as instance:
        made = dg.materialize([platform_health], resources={"settings": world.settings()}, instance=instance)
        checks = {e.check_name: e.passed for e in made.get_asset_check_evaluations()}
        [event] = made.get_asset_materialization_events()
    assert set(checks) == set(AREAS)
    assert checks["cvat"]
    assert not checks["dagster"]
    assert "next step" in event.materialization.metadata["findings"].value


@pytest.mark.parametrize(
    ("told", "level", "said"),
    [
        ({}, Level.OK, "reefline"),
        ({"version": "0.0.1"}, Level.WARN, "the databases are those of 0.0.1"),
        ({"version": "99.0"}, Level.FAIL, "was moved to reefline 99.0"),
        ({"unfinished": "dagster"}, Level.FAIL, "broke off at dagster"),
    ],
)
def test_software_and_databases_of_different_versions_are_named(tmp_path, told, level, said):
    store = LocalStore(tmp_path)
    assert list(check_version(store)) == []
    record(store, replace(own_record(), **told))
    [finding] = check_version(store)
    assert (finding.level, said in finding.text) == (level, True), finding
