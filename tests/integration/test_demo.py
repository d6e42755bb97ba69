"""The main job as a whole, with real processes, real HTTP and injected faults."""

import hashlib
import io
import json
import os
import signal

import dagster as dg
import pyarrow.parquet as pq
import pytest

from deploy.local.runtime import prepare
from labels.manifest import Status
from labels.transforms import Rectification
from orchestration.definitions import build_defs
from orchestration.instance import dagster_instance
from resources.object_store import LocalStore
from resources.releases import release_key
from resources.tables import BatchTables
from tests.integration.demo import cvat_tasks, finish, output, service_pid, start_demo, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("main") / "demo"
    return folder, finish(folder, start_demo(folder, 2, 3, 4))


@pytest.fixture(scope="module")
def store(demo):
    return LocalStore(demo[0] / "home" / "store")


def test_all_24_quadrats_go_through_all_gates_into_the_release(demo):
    _, summary = demo
    assert summary["photos"] == {"offered": 24, "accepted": 24, "quarantined": 0, "duplicate": 0}
    assert summary["quadrats_released"] == 24
    assert all(stage["failed"] == 0 for stage in summary["stages"])
    assert {(gate["gate"], gate["batch"]) for gate in summary["gates"]} == {
        (gate, batch) for gate in ("corners", "lattice", "corals") for batch in summary["batches"]
    }


def test_the_run_of_the_release_has_ended_well_and_its_check_was_made(demo):
    with dagster_instance(demo[0] / "home" / "dagster") as instance:
        [run] = instance.get_run_records(dg.RunsFilter(job_name="make_release"))
        assert run.dagster_run.status == dg.DagsterRunStatus.SUCCESS
        assert instance.fetch_materializations(dg.AssetKey(["datasets", "release"]), limit=1).records


def test_no_run_of_the_demo_has_failed(demo):
    with dagster_instance(demo[0] / "home" / "dagster") as instance:
        records = instance.get_run_records()
    ended = {(r.dagster_run.job_name, r.dagster_run.status.value) for r in records}
    assert {job for job, status in ended if status == "FAILURE"} == set()
    assert len(records) >= 8


def test_proposals_are_within_three_pixels_of_the_truth_before_review(demo):
    errors = demo[1]["errors_px_at_1920"]
    assert errors["corners"]["count"] == 24 * 4
    assert errors["nodes"]["count"] == 24 * 117
    assert errors["corners"]["mean"] <= 3
    assert errors["nodes"]["mean"] <= 3


def test_every_release_row_traces_back_to_a_raw_photo(demo, store):
    folder, summary = demo
    name = summary["release"]["name"]
    images = pq.read_table(io.BytesIO(store.get(release_key(name, "images.parquet")))).to_pylist()
    shapes = pq.read_table(io.BytesIO(store.get(release_key(name, "labels.parquet")))).to_pylist()
    tables = BatchTables(store)
    raw = {row.image_id: row for batch in summary["batches"] for row in tables.manifest("images/raw", batch)}
    by_id = {row["image_id"]: row for row in images}
    assert len(by_id) == 24
    for shape in shapes:
        image = by_id[shape["image_id"]]
        photo = raw[image["image_id"]]
        assert image["raw_sha256"] == photo.source_sha256
        data = (folder / "photos" / photo.extra["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == image["raw_sha256"]
        warp = Rectification(tuple(image["homography"]), image["side_px"], image["frame_cm"])
        points = warp.to_raw(list(zip(shape["points"][::2], shape["points"][1::2], strict=True)))
        assert points.min() > -20
        assert points[:, 0].max() < photo.width + 20
        assert points[:, 1].max() < photo.height + 20


def test_no_cvat_task_is_doubled(demo):
    folder, summary = demo
    names = cvat_tasks(folder)
    expected = [f"{batch}.{gate}" for batch in summary["batches"] for gate in ("corners", "lattice", "corals")]
    assert sorted(names) == sorted(expected)


def test_a_second_demo_redoes_nothing(demo):
    folder, summary = demo
    manifests = {p: p.stat().st_mtime_ns for p in (folder / "home" / "store").rglob("*.parquet")}
    again = finish(folder, start_demo(folder, 2, 3, 4))
    assert "nothing was redone" in output(folder)
    assert again == summary
    assert {p: p.stat().st_mtime_ns for p in (folder / "home" / "store").rglob("*.parquet")} == manifests


def test_one_stage_of_one_batch_can_be_run_again_alone_and_redoes_nothing(demo):
    folder, summary = demo
    installation = prepare(folder / "home", folder / "surveys")
    defs = build_defs(installation.settings)
    job = defs.resolve_implicit_global_asset_job_def()
    batch = summary["batches"][0]
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("batch", [batch])
        keys = [dg.AssetKey(["images", "rectified"]), dg.AssetKey(["lattice", "proposed"])]
        result = job.execute_in_process(asset_selection=keys, partition_key=batch, instance=instance)
        assert result.success
        for event in result.get_asset_materialization_events():
            assert event.materialization.metadata["pictures"].value == 12
            assert event.materialization.metadata["done_now"].value == 0
            assert "data:image/jpeg;base64" in event.materialization.metadata["preview"].value


@pytest.mark.long
@pytest.mark.timeout(1500)  # two installations side by side on two processors, each with a demo
def test_killed_daemon_receiver_and_demo_lose_and_double_nothing(tmp_path):
    folder = tmp_path / "demo"
    process = start_demo(folder, 1, 2, 3)
    tables = BatchTables(LocalStore(folder / "home" / "store"))

    def kill(name):
        pid = wait_for(lambda: service_pid(folder, name), folder, process)
        os.kill(pid, signal.SIGKILL)

    wait_for(lambda: tables.batches("corners/proposed"), folder, process)
    kill("daemon")
    kill("receiver")
    wait_for(lambda: tables.batches("images/rectified"), folder, process)
    kill("receiver")
    wait_for(lambda: tables.batches("lattice/review"), folder, process)
    kill("daemon")
    process.kill()  # the supervisor itself; its services live on as orphans
    process.wait()

    summary = finish(folder, start_demo(folder, 1, 2, 3))
    assert summary["quadrats_released"] == 6
    names = cvat_tasks(folder)
    assert sorted(names) == sorted(set(names)), "a CVAT task was doubled"
    assert len(names) == 3 * len(summary["batches"])
    for stage in ("corners/reviewed", "lattice/reviewed", "corals/reviewed"):
        for batch in summary["batches"]:
            rows = tables.manifest(stage, batch)
            assert len({row.image_id for row in rows}) == len(rows) == 3
            assert all(row.status == Status.OK for row in rows)
            shapes = tables.labels(stage, batch)
            assert len({shape.shape_id for shape in shapes}) == len(shapes)
    release = json.loads(tables.store.get(release_key(summary["release"]["name"], "release.json")))
    assert release["counts"]["images"] == 6
