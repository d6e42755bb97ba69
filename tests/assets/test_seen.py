"""Only pictures that people looked at say how good proposals are."""

import pytest

from assets import cover, quality
from labels.manifest import ManifestRow
from labels.schema import Kind, Shape
from labels.survey import parse_survey
from resources.object_store import LocalStore
from resources.tables import BatchTables

BATCH = "reef.0001"
SURVEY = parse_survey("name: reef\nphotos: {folder: x}\ntaxonomy: demo-reef\n", "reef.yaml")


def colony(image_id, number, right=40.0):
    ring = [10.0, 10, right, 10, right, 40, 10, 40]
    return Shape(image_id, f"{image_id}:{number}", Kind.POLYGON, "Porites", ring, score=0.9, model="m@1#abc")


def corners(image_id, moved=0.0):
    points = [v + moved for v in (0.0, 0, 99, 0, 99, 99, 0, 99)]
    return Shape(image_id, f"{image_id}:corners", Kind.SKELETON, "quadrat_corner", points)


@pytest.fixture
def tables(tmp_path):
    """Ten pictures; a person looked at the first one, deleted its colony and moved its corners by 3 px each way."""
    made = BatchTables(LocalStore(tmp_path))
    ids = [f"{n:016x}" for n in range(10)]
    rows = [
        ManifestRow(i, "s", "ok", "1", width=100, height=100, extra={"by": "person" if i == ids[0] else "model"})
        for i in ids
    ]
    for gate in ("corners", "lattice", "corals"):
        made.write_manifest(f"{gate}/reviewed", BATCH, rows)
    for stage in ("lattice/proposed", "lattice/reviewed"):
        made.write_labels(stage, BATCH, [])
    made.write_labels("corals/proposed", BATCH, [colony(i, 1) for i in ids])
    made.write_labels("corals/reviewed", BATCH, [colony(i, 1) for i in ids[1:]])
    made.write_labels("corners/proposed", BATCH, [corners(i) for i in ids])
    made.write_labels("corners/reviewed", BATCH, [corners(i, 3.0 if i == ids[0] else 0.0) for i in ids])
    return made


def test_proposals_that_nobody_saw_do_not_count_as_kept(tables):
    figures = quality.measure(tables, SURVEY, BATCH).figures
    assert (figures["corals"]["pictures"], figures["corals"]["precision"]) == (1, 0.0)
    assert figures["corals"]["changes"] == {"deleted": 1}
    assert figures["by_model"]["m@1#abc"]["proposals"] == 1
    assert figures["corals"]["cover_error"]["Porites"]["bias"] == pytest.approx(0.09, rel=0.1)
    assert (figures["corners"]["pictures"], figures["corners"]["moved_share"]) == (1, 1.0)
    assert figures["corners"]["rms_px"] == pytest.approx(3 * 2**0.5)


def test_doubt_in_labels_comes_from_the_pictures_people_saw(tables):
    doubt = cover._label_doubt(tables, BATCH, ["Porites", "Acropora"])
    assert doubt[False]["Porites"] == pytest.approx(0.09, rel=0.1)
    assert doubt[True]["Porites"] == pytest.approx(doubt[False]["Porites"] / 2**0.5)
    assert doubt[True]["Acropora"] == 0
