"""The scripted reviewer at work in a CVAT sandbox, a real server process."""

import io

import numpy as np
import pytest
from PIL import Image

from assets.common.names import CORNERS_LABEL
from deploy.local.reviewer import TOLERANCE_PX, Reviewer
from labels.formats.cvat import HALF_PIXEL
from resources.cvat import CvatClient, Picture
from tests.contract.server import ADMIN, PASSWORD, SandboxProcess

SIDE = 200
IMAGE = "0123456789abcdef"
CORNERS = [[20.0, 20.0], [180.0, 22.0], [178.0, 181.0], [19.0, 179.0]]
RING = [[0.2, 0.2], [0.5, 0.2], [0.5, 0.5], [0.35, 0.6], [0.2, 0.5], [0.15, 0.35]]
TRUTH = {IMAGE: {"corners": CORNERS, "colonies": [{"taxon": "Porites", "ring_unit": RING}]}}
TAXA = [{"name": name, "type": "polygon", "attributes": []} for name in ("Acropora", "Porites")]


@pytest.fixture(scope="module")
def cvat(tmp_path_factory):
    """A client of a running sandbox."""
    sandbox = SandboxProcess(tmp_path_factory.mktemp("reviewed")).start()
    yield CvatClient(sandbox.url, username=ADMIN, password=PASSWORD)
    sandbox.stop()


def skeleton_label():
    nodes = [{"name": str(n), "type": "points", "attributes": []} for n in range(1, 5)]
    return {"name": CORNERS_LABEL, "type": "skeleton", "attributes": [], "svg": "", "sublabels": nodes}


def reviewed(cvat, name, labels, shapes, truth):
    """The task after one round of the reviewer, who found ``shapes(labels)`` in it."""
    data = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (60, 90, 120)).save(data, "JPEG")
    pictures = [Picture(f"quadrat__{IMAGE}.jpg", data.getvalue)]
    project = cvat.create_project(f"project of {name}", labels)

    def annotations(frames, known):
        return {"version": 0, "tags": [], "shapes": shapes(known), "tracks": []}

    task = cvat.ensure_task(project, name, pictures, annotations)
    done = Reviewer(cvat.session, truth).work_once()
    [job] = cvat.read_task(task.task_id).jobs
    assert done == 1
    assert (job.stage, job.state) == ("annotation", "completed")
    assert Reviewer(cvat.session, truth).work_once() == 0, "a completed job is left alone"
    return job.annotations["shapes"]


def polygon(label, ring):
    points = (np.array(ring) * (SIDE - 1) + HALF_PIXEL).ravel().tolist()
    return {
        "type": "polygon",
        "frame": 0,
        "label_id": label["id"],
        "points": points,
        "attributes": [],
        "source": "auto",
    }


def skeleton(label, corners):
    nodes = sorted(label["sublabels"], key=lambda node: node["id"])
    elements = [
        {"type": "points", "frame": 0, "label_id": node["id"], "points": [x + HALF_PIXEL, y + HALF_PIXEL]}
        for node, (x, y) in zip(nodes, corners, strict=True)
    ]
    return {"type": "skeleton", "frame": 0, "label_id": label["id"], "source": "auto", "elements": elements}


def corners_of(shape):
    elements = sorted(shape["elements"], key=lambda element: element["label_id"])
    return np.array([element["points"] for element in elements]) - HALF_PIXEL


def test_a_corner_that_is_off_is_moved_and_those_that_look_right_stay(cvat):
    proposed = [[21.0, 20.0], [170.0, 40.0], *CORNERS[2:]]
    [shape] = reviewed(
        cvat, "moves", [skeleton_label()], lambda known: [skeleton(known[CORNERS_LABEL], proposed)], TRUTH
    )
    found = corners_of(shape)
    assert found[0] == pytest.approx(proposed[0]), "one pixel off looks right"
    assert np.linalg.norm(found[1] - CORNERS[1]) < 2 * TOLERANCE_PX[CORNERS_LABEL]
    assert found[2:] == pytest.approx(np.array(CORNERS[2:]))


def test_a_skeleton_that_is_missing_is_drawn(cvat):
    [shape] = reviewed(cvat, "draws", [skeleton_label()], lambda known: [], TRUTH)
    assert np.abs(corners_of(shape) - CORNERS).max() < 3


def test_outlines_are_added_removed_and_given_their_right_taxon(cvat):
    elsewhere = [[0.8, 0.8], [0.9, 0.8], [0.9, 0.9]]
    shapes = reviewed(
        cvat,
        "taxa",
        TAXA,
        lambda known: [polygon(known["Acropora"], RING), polygon(known["Porites"], elsewhere)],
        TRUTH,
    )
    assert [cvat_name(cvat, "taxa", s["label_id"]) for s in shapes] == ["Porites"]
    found = np.array(shapes[0]["points"]).reshape(-1, 2) - HALF_PIXEL
    assert found == pytest.approx(np.array(RING) * (SIDE - 1), abs=0.01), "a good outline keeps its points"
    [added] = reviewed(cvat, "added", TAXA, lambda known: [], TRUTH)
    assert added["source"] == "manual"


def cvat_name(cvat, name, label_id):
    project = cvat.find_project(f"project of {name}")
    return next(n for n, label in cvat.labels(project).items() if label["id"] == label_id)


def test_without_truth_what_was_proposed_is_accepted_unchanged(cvat):
    shapes = reviewed(cvat, "accepts", TAXA, lambda known: [polygon(known["Acropora"], RING)], {})
    assert [cvat_name(cvat, "accepts", s["label_id"]) for s in shapes] == ["Acropora"]
    assert shapes[0]["source"] == "auto"
