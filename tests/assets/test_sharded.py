"""A batch shared by several workers is the same asset with the same result."""

from collections import Counter

import dagster as dg
import pytest

from assets.common.stage import Done, Made, Share, Work, one_by_one, run_stage_together
from labels.manifest import ManifestRow, Status
from resources.object_store import LocalStore, StoreError
from resources.parts import read_parts
from resources.tables import BatchTables
from tests.assets import shared_batch

BATCH = "b.0001"


def works(count):
    rows = [ManifestRow(f"{i:016x}", "", Status.OK, "1", sha256=f"s{i}", uri=f"u{i}") for i in range(count)]
    return [Work(row) for row in rows]


def run(tables, todo, many, **options):
    return run_stage_together(tables, "s/t", BATCH, todo, many, code_version="1", labels=True, **options)


@pytest.fixture
def tables(tmp_path):
    return BatchTables(LocalStore(tmp_path))


def test_shares_cover_the_batch_once_in_whatever_order_it_is_listed():
    batch = works(23)
    taken = [work.image_id for n in range(4) for work in Share(n, 4).takes(list(reversed(batch)) if n % 2 else batch)]
    assert sorted(taken) == [work.image_id for work in batch]


def test_a_run_that_is_stopped_goes_on_where_it_was(tables):
    made = []

    def stopped_after_three(todo):
        for work in todo[:3]:
            made.append(work.image_id)
            yield Made(work, Done(), None, 1.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tables, works(5), stopped_after_three)
    assert not tables.has("s/t", BATCH)
    result = run(tables, works(5), one_by_one(lambda work: made.append(work.image_id) or Done()))
    assert Counter(made) == Counter(work.image_id for work in works(5))
    assert (result.redone, len(result.rows)) == (2, 5)
    assert read_parts(tables.store, "s/t", BATCH) == []


def test_two_stops_lose_nothing_of_the_first(tables):
    def stopped_after_one(todo):
        yield Made(todo[0], Done(), None, 1.0)
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(tables, works(5), stopped_after_one)
    assert run(tables, works(5), one_by_one(lambda work: Done())).redone == 3


def test_what_a_stopped_run_left_of_another_version_is_not_used(tables):
    def stopped(todo):
        yield Made(todo[0], Done(), None, 1.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage_together(tables, "s/t", BATCH, works(3), stopped, code_version="0")
    assert run(tables, works(3), one_by_one(lambda work: Done())).redone == 3


def test_a_store_that_is_down_is_not_asked_to_keep_a_part(tables):
    def down(todo):
        yield Made(todo[0], Done(), None, 1.0)
        raise StoreError("disk full")

    with pytest.raises(StoreError, match="disk full"):
        run(tables, works(3), down)
    assert read_parts(tables.store, "s/t", BATCH) == []


def shared(tmp_path, monkeypatch, shares):
    monkeypatch.setenv("SHARED_BATCH_STORE", str(tmp_path / f"store{shares}"))
    monkeypatch.setenv("SHARED_BATCH_SHARES", str(shares))
    (tmp_path / f"store{shares}").mkdir()
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        instance.add_dynamic_partitions("batch", [BATCH])
        with dg.execute_job(
            dg.reconstructable(shared_batch.job), instance, tags={"dagster/partition": BATCH}, raise_on_error=True
        ) as done:
            [event] = done.get_asset_materialization_events()
            metadata = event.step_materialization_data.materialization.metadata
            steps = sorted(e.step_key for e in done.all_node_events if e.is_step_success)
    tables = shared_batch.tables()
    made = [line.split() for line in (tables.store.root / "made.txt").read_text().splitlines()]
    return tables, {key: value.value for key, value in metadata.items()}, steps, made


@pytest.mark.slow
def test_two_processes_share_a_batch_and_the_asset_is_as_if_one_had_made_it(tmp_path, monkeypatch):
    tables, metadata, steps, made = shared(tmp_path, monkeypatch, 2)
    assert [step.rpartition(".")[2] for step in steps] == [
        "corals_proposed_commit",
        "corals_proposed_share[0_of_2]",
        "corals_proposed_share[1_of_2]",
        "corals_proposed_shares",
    ]
    assert metadata["made_by_commit"] == 0
    assert metadata["pictures"] == shared_batch.COUNT
    assert Counter(image for image, _ in made) == Counter(f"{n:016x}" for n in range(shared_batch.COUNT))
    assert len({process for _, process in made}) == 2
    rows = tables.manifest(shared_batch.STAGE, BATCH)
    assert [row.reason for row in rows if not row.usable] == ["all black"]
    assert len(tables.labels(shared_batch.STAGE, BATCH)) == shared_batch.COUNT - 1
    assert read_parts(tables.store, shared_batch.STAGE, BATCH) == []


def test_without_shares_the_committing_op_makes_everything_in_one_process(tmp_path, monkeypatch):
    monkeypatch.setenv("SHARED_BATCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SHARED_BATCH_SHARES", "1")
    (tmp_path / "store").mkdir()
    job = shared_batch.job()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("batch", [BATCH])
        done = job.execute_in_process(instance=instance, partition_key=BATCH)
    [event] = done.get_asset_materialization_events()
    assert event.step_materialization_data.materialization.metadata["made_by_commit"].value == shared_batch.COUNT
    assert event.asset_key == dg.AssetKey(["corals", "proposed"])
