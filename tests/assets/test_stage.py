"""The per-picture runner: nothing done twice, nothing lost, one bad picture alone."""

import pytest

from assets.common.stage import Done, PictureError, Work, run_stage
from labels.manifest import ManifestRow, Status
from labels.schema import Kind, Shape
from resources.object_store import LocalStore, StoreError
from resources.tables import BatchTables, NotMadeYetError


@pytest.fixture
def tables(tmp_path):
    return BatchTables(LocalStore(tmp_path))


def works(n, **params):
    rows = [ManifestRow(f"{i:016x}", "", Status.OK, "1", sha256=f"s{i}", uri=f"u{i}") for i in range(n)]
    return [Work(row, dict(params)) for row in rows]


def shape(work):
    return Shape(work.image_id, f"{work.image_id}:0", Kind.POINT, "x", [1.0, 2.0])


def test_a_second_run_does_nothing_again(tables):
    calls = []

    def do(work):
        calls.append(work.image_id)
        return Done(shapes=[shape(work)])

    first = run_stage(tables, "s/t", "b.0001", works(5), do, code_version="1", labels=True)
    second = run_stage(tables, "s/t", "b.0001", works(5), do, code_version="1", labels=True)
    assert len(calls) == 5
    assert second.redone == 0
    assert second.rows == first.rows
    assert tables.labels("s/t", "b.0001") == sorted(first.shapes, key=lambda s: s.image_id)


@pytest.mark.parametrize("change", ["code", "params", "model"])
def test_a_change_of_code_parameters_or_model_is_done_again(tables, change):
    def run(code="1", model="m@1", **params):
        return run_stage(tables, "s/t", "b.0001", works(3, **params), lambda w: Done(), code_version=code, model=model)

    run()
    changed = {"code": {"code": "2"}, "params": {"radius": 5}, "model": {"model": "m@2"}}[change]
    assert run(**changed).redone == 3


def test_one_bad_picture_is_recorded_and_the_others_go_on(tables):
    def do(work):
        if work.image_id.endswith("2"):
            raise PictureError("no frame: hold the camera higher")
        return Done()

    result = run_stage(tables, "s/t", "b.0001", works(4), do, code_version="1", threads=2)
    assert result.count(Status.OK) == 3
    [bad] = [row for row in tables.manifest("s/t", "b.0001") if not row.usable]
    assert bad.reason == "no frame: hold the camera higher"


def test_a_bug_in_one_picture_is_recorded_too(tables):
    result = run_stage(tables, "s/t", "b.0001", works(2), lambda w: 1 / 0, code_version="1")
    assert [row.reason for row in result.rows] == ["unexpected ZeroDivisionError: division by zero"] * 2


def test_a_failed_picture_is_tried_again(tables):
    def fail(work):
        raise PictureError("no")

    run_stage(tables, "s/t", "b.0001", works(2), fail, code_version="1")
    assert run_stage(tables, "s/t", "b.0001", works(2), lambda w: Done(), code_version="1").count(Status.OK) == 2


def test_a_store_that_fails_commits_nothing(tables):
    def do(work):
        raise StoreError("disk full")

    with pytest.raises(StoreError, match="disk full"):
        run_stage(tables, "s/t", "b.0001", works(2), do, code_version="1")
    assert not tables.has("s/t", "b.0001")


def test_labels_of_kept_pictures_are_carried_over(tables):
    run_stage(tables, "s/t", "b.0001", works(2), lambda w: Done(shapes=[shape(w)]), code_version="1", labels=True)
    more = run_stage(
        tables, "s/t", "b.0001", works(3), lambda w: Done(shapes=[shape(w)]), code_version="1", labels=True
    )
    assert more.redone == 1
    assert len(tables.labels("s/t", "b.0001")) == 3


def test_a_stage_that_was_not_made_says_what_to_materialize(tables):
    with pytest.raises(NotMadeYetError, match="materialize corners/proposed first"):
        tables.manifest("corners/proposed", "b.0001")
