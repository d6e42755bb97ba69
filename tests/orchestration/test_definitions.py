"""The code location as a whole: it loads, and every asset keeps the house rules."""

import subprocess
import sys

import dagster as dg
import pytest

from orchestration.definitions import build_defs
from orchestration.jobs import ALL_JOBS
from resources.settings import load_settings

KEYS = {
    "images/raw",
    "corners/proposed",
    "corners/review",
    "corners/reviewed",
    "images/rectified",
    "lattice/proposed",
    "lattice/review",
    "lattice/reviewed",
    "images/clean",
    "corals/proposed",
    "corals/review",
    "corals/reviewed",
    "quality/report",
    "cover/quadrats",
    "colonies/tracks",
    "datasets/release",
    "models/candidate",
    "models/evaluation",
    "models/champion",
    "analytics/images",
    "analytics/cover",
    "analytics/reviews",
    "platform/health",
    "analytics/batches",
    "analytics/objects",
    "analytics/quality",
    "analytics/deliveries",
    "analytics/runs",
    "analytics/models",
    "analytics/events",
    "analytics/worktime",
}


@pytest.fixture
def defs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return build_defs(load_settings(environ={}))


def specs(defs):
    return [spec for asset in defs.assets for spec in asset.specs]


def test_the_code_location_loads(defs):
    dg.Definitions.validate_loadable(defs)


def test_the_graph_has_exactly_the_designed_keys(defs):
    assert {spec.key.to_user_string() for spec in specs(defs)} == KEYS


def test_every_asset_has_group_owner_kind_description_and_code_version(defs):
    for spec in specs(defs):
        name = spec.key.to_user_string()
        assert spec.group_name == spec.key.path[0], name
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.description, name
        assert spec.code_version, name


def test_everything_from_raw_to_cover_shares_the_batch_partitions(defs):
    for spec in specs(defs):
        partitions = spec.partitions_def
        group = spec.key.path[0]
        unpartitioned = dict.fromkeys(("analytics", "colonies", "platform"))
        expected = {"datasets": "release", "models": "release", **unpartitioned}.get(group, "batch")
        assert (partitions.name if partitions else None) == expected, spec.key


def test_assets_that_talk_to_cvat_clickhouse_or_the_gpu_are_in_a_pool(defs):
    pools = {spec.key.to_user_string(): None for spec in specs(defs)}
    for asset in defs.assets:
        pools[asset.key.to_user_string()] = asset.op.pool if isinstance(asset.node_def, dg.OpDefinition) else None
    for gate in ("corners", "lattice", "corals"):
        assert pools[f"{gate}/review"] == pools[f"{gate}/reviewed"] == "cvat_api"
    assert pools["models/candidate"] == pools["models/evaluation"] == "gpu"
    [corals] = [asset for asset in defs.assets if asset.key.to_user_string() == "corals/proposed"]
    assert {op.name: op.pool for op in corals.node_def.iterate_op_defs()} == {
        "corals_proposed_shares": None,
        "corals_proposed_share": "gpu",
        "corals_proposed_commit": "gpu",
    }
    assert {pool for name, pool in pools.items() if name.startswith("analytics/")} == {"clickhouse"}


def test_the_checks_of_the_design_exist(defs):
    names = {(key.asset_key.to_user_string(), key.name) for check in defs.asset_checks for key in check.check_keys}
    assert {
        ("images/raw", "members_match_upload"),
        ("images/raw", "some_photos_accepted"),
        ("corners/proposed", "frame_found"),
        ("lattice/proposed", "lattice_found"),
        ("corals/reviewed", "label_schema"),
        ("corals/reviewed", "every_image_labelled"),
        ("datasets/release", "release_reproducible"),
        ("analytics/events", "events_accounted_for"),
        ("analytics/worktime", "worktime_is_cvats"),
        ("analytics/images", "every_batch_is_there"),
        ("analytics/deliveries", "every_delivery_is_there"),
    } <= names


def test_jobs_sensors_and_schedules_are_there_and_running(defs):
    repository = defs.get_repository_def()
    assert {j.name for j in repository.get_all_jobs()} >= {
        "start_batch",
        "after_corners",
        "after_lattice",
        "after_corals",
        "make_release",
        "retrain",
        "reconcile_reviews",
        "refresh_analytics",
        "follow_colonies",
    }
    sensors = {s.name: s.default_status for s in repository.sensor_defs}
    assert set(sensors) >= {"surveys", "reviews", "releases", "failures"}
    assert all(sensors[n] == dg.DefaultSensorStatus.RUNNING for n in ("surveys", "reviews", "releases", "failures"))
    schedules = {s.name: s.default_status for s in repository.schedule_defs}
    names = ("reconcile", "analytics", "colonies", "health")
    assert schedules == dict.fromkeys(names, dg.DefaultScheduleStatus.RUNNING)


def test_a_fresh_interpreter_loads_the_definitions_without_torch(tmp_path):
    code = (
        "import sys, orchestration.definitions as d; d.defs; print('torch' in sys.modules, 'cvat_sdk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    "package", ["labels", "inference", "analytics", "resources", "assets", "sensors", "orchestration", "deploy"]
)
def test_each_package_is_ours_and_says_what_belongs_there(package, request):
    module = __import__(package)
    assert module.__path__[0].startswith(str(request.config.rootpath))
    assert len(module.__doc__.split()) > 10


def test_no_module_reaches_into_dagsters_private_parts(request):
    for path in request.config.rootpath.glob("*/**/*.py"):
        if ".venv" in path.parts or path.parts[len(request.config.rootpath.parts)] == "tests":
            continue
        assert "dagster._" not in path.read_text(encoding="utf-8"), path


def test_the_instance_settings_are_accepted_by_dagster(tmp_path, request):
    (tmp_path / "dagster.yaml").write_text((request.config.rootpath / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_retries_enabled
        assert not instance.telemetry_enabled


def test_every_job_can_be_planned(defs):
    """Dagster finds some mistakes of a graph only when it plans a run: then nothing of the job would ever start."""
    from dagster._core.execution.api import create_execution_plan

    jobs = [job.name for job in ALL_JOBS]
    assert {"start_batch", "after_lattice", "make_release"} <= set(jobs)
    for name in jobs:
        assert create_execution_plan(defs.resolve_job_def(name)).steps
