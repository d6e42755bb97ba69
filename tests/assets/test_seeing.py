"""A stage whose pictures go through a model together: what is wrong with one is that one's reason."""

import cv2
import dagster as dg
import numpy as np
import pytest

from assets import corals
from assets.clean import STAGE as CLEAN
from assets.common.sharded import Tools, _made
from inference.registry import ModelRegistry
from inference.scenes import render_quadrat
from labels.manifest import ManifestRow, Status
from labels.survey import parse_survey
from resources.object_store import LocalStore
from resources.tables import BatchTables

BATCH = "reef.0001"


@pytest.fixture
def survey(tmp_path):
    return parse_survey(f"name: reef\nphotos: {{folder: '{tmp_path}'}}\ntaxonomy: demo-reef\n", "reef.yaml")


@pytest.fixture
def tables(tmp_path):
    return BatchTables(LocalStore(tmp_path / "store"))


def commit_clean(tables, pictures):
    rows = []
    for name, data in pictures.items():
        sha256, uri = tables.put_image("clean", data, "jpg")
        rows.append(ManifestRow(name, "", Status.OK, "1", sha256=sha256, uri=uri, width=8, height=8))
    tables.write_manifest(CLEAN, BATCH, rows)


def jpeg(image):
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def test_odd_pictures_in_a_batch_are_recorded_and_the_rest_is_outlined(tables, survey):
    reef = jpeg(render_quadrat(7, difficulty=0.1, size=(700, 700)).clean(640))
    commit_clean(
        tables,
        {
            "reef": reef,
            "cut": b"\xff\xd8" + bytes(100),
            "empty": b"",
            "dot": jpeg(np.full((1, 1, 3), 90, np.uint8)),
            "black": jpeg(np.zeros((300, 300, 3), np.uint8)),
        },
    )
    told = []
    result = corals.propose(tables, survey, BATCH, ModelRegistry(), 2, progress=lambda *n: told.append(n))
    rows = {row.image_id: row for row in result.rows}
    assert {name for name, row in rows.items() if row.usable} == {"reef", "dot", "black"}
    assert "restore the file" in rows["cut"].reason
    assert "restore the file" in rows["empty"].reason
    assert rows["reef"].extra["colonies"] >= 1
    assert [n for n, _ in told] == [1, 2, 3, 4, 5]
    again = corals.propose(tables, survey, BATCH, ModelRegistry(), 2)
    assert again.redone == 2
    assert [s.shape_id for s in again.shapes] == [s.shape_id for s in result.shapes]


def test_weights_that_are_cut_in_half_are_one_line_for_the_operator(tables, survey, tmp_path):
    import shutil

    from inference.registry import MODELS

    shutil.copytree(MODELS, tmp_path / "models")
    models = ModelRegistry(tmp_path / "models")
    weights = tmp_path / "models" / models.card("demo-corals").file
    weights.write_bytes(weights.read_bytes()[:1000])
    commit_clean(tables, {"a": jpeg(np.zeros((8, 8, 3), np.uint8))})
    tools = Tools(tables, None, models, None, None)
    with pytest.raises(dg.Failure, match="is not the registered file") as failed:
        _made(lambda tools, batch: corals.propose(tools.tables, survey, batch, tools.models), tools, BATCH)
    assert not failed.value.allow_retries
    assert not tables.has(corals.STAGE, BATCH)
