"""CVAT: what is pushed comes back as it was; whatever a person did becomes a row or a named defect."""

import copy
import html
import json
import re

import jsonschema
import numpy as np
import pytest
import shapely
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, Polygon

from labels.formats.cvat import (
    CvatFormatError,
    JobAnswer,
    TaskAnswer,
    corner_label_spec,
    cut_holes,
    cvat_points,
    from_cvat,
    lattice_label_spec,
    taxonomy_label_specs,
    to_cvat,
)
from labels.formats.cvat.geometry import OutlineError, mask_runs, mend
from labels.lattice import load_topology
from labels.raster import rasterise
from labels.schema import OUTSIDE, Kind, Shape, Source, shapes_to_table, table_to_shapes
from labels.taxonomy import load_taxonomy

A, B = "a" * 16, "b" * 16
FRAMES = {A: 0, B: 1}
IMAGES = {0: A, 1: B}
RING = [10.0, 10.0, 60.0, 12.0, 58.0, 70.0, 12.0, 64.0]


def as_server(specs, start=100):
    """Label definitions as the server gives them back: with ids."""
    ids = iter(range(start, start + 10_000))
    labels = []
    for spec in copy.deepcopy(specs):
        spec["id"] = next(ids)
        for part in (*spec["attributes"], *spec.get("sublabels", [])):
            part["id"] = next(ids)
        labels.append(spec)
    return labels


LABELS = as_server([*taxonomy_label_specs(load_taxonomy("demo-reef")), corner_label_spec("quadrat_corner")])
ID = {label["name"]: label["id"] for label in LABELS}


def polygon(number=0, label="Porites", ring=RING, image=A, **more):
    return Shape(image, f"{image}:{number:04d}", Kind.POLYGON, label, list(ring), score=0.87, model="m@1#abc", **more)


def corners(points=(20, 20, 180, 22, 178, 150, 21, 149), **more):
    return Shape(A, f"{A}:corners", Kind.SKELETON, "quadrat_corner", [float(v) for v in points], score=0.9, **more)


def answer(data, **job):
    """A task as read back: ids given by the server, elements in another order."""
    data = copy.deepcopy(data)
    for number, shape in enumerate(data["shapes"]):
        shape.setdefault("id", 1000 + number)
        shape.get("elements", []).reverse()
    return TaskAnswer(7, LABELS, [JobAnswer(9, data, **job)])


def reviewed(pushed, change=lambda data: None, **job):
    data = to_cvat(pushed, FRAMES, LABELS)
    change(data)
    return from_cvat(answer(data, **job), IMAGES, pushed)


def test_an_untouched_pre_label_comes_back_as_it_was_pushed():
    hole = [20.0, 20.0, 30.0, 20.0, 30.0, 30.0]
    pushed = [
        polygon(),
        polygon(1, "Acropora", [v + 80.3333 for v in RING], holes=[]),
        polygon(2, image=B, holes=[hole]),
    ]
    pushed = table_to_shapes(shapes_to_table([*pushed, corners(attributes={OUTSIDE: "3"})]))
    shapes, defects = reviewed(pushed, assignee="anna", updated_date="2026-11-21T03:00:00Z")
    assert defects == {}
    by_id = {s.shape_id: s for s in shapes}
    for before in pushed:
        after = by_id[before.shape_id]
        assert (after.points, after.holes, after.attributes) == (before.points, before.holes, before.attributes)
        assert (after.source, after.score, after.model) == (Source.MODEL, before.score, before.model)
        assert (after.cvat_task, after.cvat_job, after.reviewer, after.annotator) == (7, 9, "anna", None)
        assert after.updated_at.year == 2026


def test_a_moved_corner_is_edited_and_keeps_its_score():
    def move(data):
        data["shapes"][0]["elements"][2]["points"] = [170.5, 140.5]

    (after,), defects = reviewed([corners()], move, assignee="anna")
    assert defects == {}
    assert after.source == Source.EDITED
    assert after.points[4:6] == [170.0, 140.0]
    assert (after.shape_id, after.score, after.annotator) == (f"{A}:corners", 0.9, "anna")


def test_a_node_marked_outside_is_edited_and_named():
    def hide(data):
        data["shapes"][0]["elements"][1]["outside"] = True

    (after,), _ = reviewed([corners()], hide)
    assert after.outside_nodes() == ["2"]
    assert after.source == Source.EDITED


def test_a_changed_outline_label_or_confidence_is_edited():
    def outline(data):
        data["shapes"][0]["points"][0] -= 3

    def label(data):
        data["shapes"][0]["label_id"] = ID["Acropora"]

    def confidence(data):
        data["shapes"][0]["attributes"][0]["value"] = "40"

    for change in (outline, label, confidence):
        (after,), defects = reviewed([polygon()], change)
        assert (after.source, after.shape_id, after.model, defects) == (Source.EDITED, f"{A}:0000", "m@1#abc", {})
    assert after.attributes["confidence"] == "40"


def test_a_new_outline_is_human_and_a_deleted_one_is_gone():
    def redo(data):
        new = copy.deepcopy(data["shapes"][0]) | {"id": 77, "source": "manual", "points": [v + 200 for v in RING]}
        data["shapes"] = [new]

    (after,), defects = reviewed([polygon()], redo, assignee="anna")
    assert defects == {}
    assert (after.source, after.score, after.model, after.annotator) == (Source.HUMAN, None, None, "anna")
    assert after.shape_id == f"{A}:cvat77"
    assert reviewed([polygon()], lambda data: data["shapes"].clear()) == ([], {})


def test_a_copy_of_a_pre_label_is_a_second_shape_with_an_id_of_its_own():
    def double(data):
        data["shapes"].append(data["shapes"][0] | {"id": 78, "source": "manual"})

    shapes, _ = reviewed([polygon()], double)
    assert sorted(s.source for s in shapes) == ["human", "model"]
    assert len({s.shape_id for s in shapes}) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["elements"].pop(1), "without node 2"),
        (lambda s: s["elements"].clear(), "without node 1, 2, 3, 4"),
        (lambda s: s["elements"].append(dict(s["elements"][0])), "node 1 occurs twice"),
        (lambda s: s["elements"].append(s["elements"][0] | {"label_id": 5}), "not one of its nodes"),
        (lambda s: s["elements"][0].update(points=[1.0]), "cannot be read"),
        (lambda s: s.update(label_id=5), "a label (id 5) that the project does not have"),
        (lambda s: s.update(s["elements"][0]), "outside of a quadrat_corner"),
        (lambda s: s.update(type="polygon", points=RING), "which is a skeleton"),
    ],
)
def test_a_broken_skeleton_is_a_defect_of_its_picture(change, words):
    shapes, defects = reviewed([corners()], lambda data: change(data["shapes"][0]))
    assert shapes == []
    assert list(defects) == [A]
    assert words in defects[A][0]
    assert "job 9, frame 0, shape 1000" in defects[A][0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"points": [1.0, 2.0, 3.0, 4.0]}, "outline of 2 points"),
        ({"points": []}, "outline of 0 points"),
        ({"points": [1.0, 1.0, 5.0, 5.0, 9.0, 9.0]}, "without any area"),
        ({"points": [0.0, 0.0, 50.0, 50.0, 50.0, 0.0, 0.0, 50.0]}, "separate parts"),
        ({"points": [0.0, 0.0, float("nan"), 50.0, 50.0, 0.0]}, "no numbers"),
        ({"type": "polyline"}, "not an outline"),
        ({"type": "cuboid"}, "not an outline"),
        ({"type": "mask", "points": [3.0, 0.0, 0.0, 9.0, 9.0]}, "do not fill"),
        ({"label_id": "x"}, "cannot be read"),
    ],
)
def test_what_cannot_be_an_outline_is_a_defect_and_the_rest_is_read(change, words):
    pushed = [polygon(), polygon(1, "Acropora", [v + 100 for v in RING])]
    shapes, defects = reviewed(pushed, lambda data: data["shapes"][0].update(change))
    assert [s.label for s in shapes] == ["Acropora"]
    assert words in defects[A][0]


def test_rectangles_ellipses_and_masks_become_outlines_of_the_same_area():
    def draw(data):
        base = data["shapes"][0] | {"source": "manual"}
        data["shapes"] = [
            base | {"id": 1, "type": "rectangle", "points": [10.0, 10.0, 30.0, 20.0], "rotation": 30.0},
            base | {"id": 2, "type": "ellipse", "points": [200.0, 200.0, 220.0, 190.0]},
            base | {"id": 3, "type": "mask", "points": [1.0, 2.0, 1.0, 4.0, 300.0, 300.0, 303.0, 301.0]},
        ]

    shapes, defects = reviewed([polygon()], draw)
    assert defects == {}
    areas = [Polygon(s.xy()).area for s in shapes]
    assert areas == pytest.approx([200, np.pi * 20 * 10, 6])
    assert Polygon(shapes[0].xy()).centroid.coords[0] == pytest.approx((19.5, 14.5))


def test_tracks_deleted_frames_foreign_frames_and_ground_truth_are_told_apart():
    data = to_cvat([polygon()], FRAMES, LABELS)
    track = {"id": 5, "frame": 1, "label_id": ID["Porites"], "shapes": []}
    foreign = data["shapes"][0] | {"id": 6, "frame": 44}
    one = data | {"tracks": [track], "shapes": [*data["shapes"], foreign]}
    task = TaskAnswer(7, LABELS, [JobAnswer(1, one), JobAnswer(2, data, type="ground_truth")], deleted_frames=[0, 9])
    shapes, defects = from_cvat(task, IMAGES, [polygon()])
    assert shapes == []
    assert A not in defects, "a removed picture is no mistake"
    assert "a track" in defects[B][0]
    assert "not of this batch" in defects[""][0]


def test_tags_become_rows():
    data = to_cvat([Shape(A, "t", Kind.TAG, "Porites", [])], FRAMES, LABELS)
    assert data["tags"][0]["label_id"] == ID["Porites"]
    (row,), defects = from_cvat(TaskAnswer(7, LABELS, [JobAnswer(1, data)]), IMAGES, [])
    assert (row.kind, row.label, defects) == (Kind.TAG, "Porites", {})


def test_in_the_validation_stage_the_person_is_the_reviewer():
    (after,), _ = reviewed([polygon()], lambda d: d["shapes"][0]["points"].__setitem__(0, 5.0), stage="validation",
                           assignee="ben")  # fmt: skip
    assert (after.reviewer, after.annotator) == ("ben", None)


def test_labels_and_pictures_that_cvat_does_not_have_are_refused_with_advice():
    with pytest.raises(CvatFormatError, match="reefline cvat apply"):
        to_cvat([polygon(label="Nemo")], FRAMES, LABELS)
    with pytest.raises(CvatFormatError, match="not in the CVAT task"):
        to_cvat([polygon()], {}, LABELS)
    with pytest.raises(CvatFormatError, match="5 points"):
        to_cvat([corners(range(10))], FRAMES, LABELS)
    assert to_cvat([polygon()], FRAMES, {label["name"]: label for label in LABELS})["shapes"][0]["frame"] == 0


def test_coordinates_move_by_half_a_pixel_and_confidence_is_the_score():
    shape = to_cvat([polygon()], FRAMES, LABELS)["shapes"][0]
    assert shape["points"] == cvat_points(RING) == [v + 0.5 for v in RING]
    assert shape["source"] == "auto"
    assert shape["attributes"][0]["value"] == "87"


def test_pre_labels_fit_the_schema_of_cvat(shared):
    document = yaml.load((shared / "contracts/cvat/schema-2.54.1.yml").read_text(), Loader=yaml.CSafeLoader)
    data = to_cvat([polygon(), corners(), Shape(A, "t", Kind.TAG, "Porites", [])], FRAMES, LABELS)
    schema = {"$ref": "#/components/schemas/LabeledDataRequest", "components": document["components"]}
    jsonschema.validate(data, schema)
    project = {"$ref": "#/components/schemas/ProjectWriteRequest", "components": document["components"]}
    specs = [*taxonomy_label_specs(load_taxonomy("criobe-finegrained")), corner_label_spec("quadrat_corner")]
    jsonschema.validate({"name": "p", "labels": specs}, project)


def test_annotations_recorded_from_a_real_server_are_read(shared):
    folder = shared / "contracts" / "cvat" / "sdk280"
    data = json.loads((folder / "job1_annotations.json").read_text(encoding="utf-8"))
    line = (folder / "rest" / "06-create-project.jsonl").read_text(encoding="utf-8").splitlines()[1]
    labels = json.loads(line)["response"]["body"]["json"]["results"]
    shapes, defects = from_cvat(TaskAnswer(1, labels, [JobAnswer(9, data)]), IMAGES, [])
    assert defects == {}
    skeletons = [s for s in shapes if s.label == "pose117"]
    assert [len(s.points) for s in skeletons] == [234, 234]
    assert skeletons[0].points[:2] == [254.5, 109.5]
    plant = next(s for s in shapes if s.label == "plant" and s.image_id == A)
    assert plant.points[:4] == [59.5, 179.5, 79.5, 154.5]


def test_label_definitions_equal_those_of_the_real_installation(shared):
    folder = shared / "contracts" / "criobe_labels"
    fine = json.loads((folder / "finegained_seg_example.json").read_text(encoding="utf-8"))
    assert taxonomy_label_specs(load_taxonomy("criobe-finegrained")) == fine
    (real,) = json.loads((folder / "corner_annotation_example.json").read_text(encoding="utf-8"))
    made = corner_label_spec("quadrat_corner")
    for spec in (real, made):
        spec["nodes"] = re.findall(r'data-node-id="(\w+)"', html.unescape(spec.pop("svg")))
    assert made == real


@pytest.mark.parametrize("name", ["criobe-117", "grid-7x7", "cross"])
def test_a_lattice_skeleton_has_a_node_for_every_sublabel_and_an_edge_for_every_piece_of_string(name):
    topology = load_topology(name)
    spec = lattice_label_spec("lattice", topology)
    assert [s["name"] for s in spec["sublabels"]] == list(topology.node_ids)
    assert re.findall(r'data-label-name="([^"]+)"', spec["svg"]) == list(topology.node_ids)
    assert spec["svg"].count("<line") == sum(len(string) - 1 for string in topology.strings)
    places = [float(v) for v in re.findall(r' c[xy]="([^"]+)"', spec["svg"])]
    assert min(places) >= 0
    assert max(places) <= 100


@st.composite
def colonies_with_holes(draw):
    side = 60
    cells = draw(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=6, unique=True))
    outer = np.array([[0, 0], [10 * side, 5], [10 * side - 7, 10 * side], [3, 10 * side - 3]], float)
    holes = []
    for column, row in cells:
        hole = Point(column * side + 30, row * side + 30).buffer(
            draw(st.floats(3, 28)), quad_segs=draw(st.integers(1, 5))
        )
        holes.append([float(v) for xy in hole.exterior.coords[:-1] for v in xy])
    if draw(st.booleans()):
        outer = outer[::-1]
    return [float(v) for v in outer.ravel()], holes


@settings(deadline=None)
@given(colonies_with_holes())
def test_a_colony_with_holes_keeps_its_area_and_its_holes_through_cvat(colony):
    points, holes = colony
    whole = Polygon(np.reshape(points, (-1, 2)), [np.reshape(h, (-1, 2)) for h in holes])
    ring = cut_holes(points, holes)
    x, y = np.reshape(ring, (-1, 2)).T
    assert abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2 == pytest.approx(whole.area, rel=1e-9)
    outer, inner = mend(ring)
    again = Polygon(np.reshape(outer, (-1, 2)), [np.reshape(h, (-1, 2)) for h in inner])
    assert len(inner) == len(holes)
    assert again.symmetric_difference(whole).area < 1e-6 * whole.area


def test_a_changed_colony_with_a_hole_keeps_the_hole():
    hole = [20.0, 20.0, 30.0, 20.0, 30.0, 30.0, 20.0, 30.0]
    pushed = [polygon(ring=[0.0, 0.0, 100.0, 0.0, 100.0, 100.0, 0.0, 100.0], holes=[hole])]

    def move(data):
        points = data["shapes"][0]["points"]
        for i in range(0, len(points), 2):
            if points[i : i + 2] == [100.5, 100.5]:
                points[i : i + 2] = [110.5, 110.5]

    (after,), defects = reviewed(pushed, move)
    assert defects == {}
    assert after.source == Source.EDITED
    assert len(after.holes) == 1
    assert Polygon(after.xy(), [np.reshape(after.holes[0], (-1, 2))]).area == pytest.approx(10_000 + 1000 - 100)


@given(st.lists(st.floats(-500, 500, width=32), max_size=24))
def test_any_ring_becomes_a_valid_outline_or_a_reason(points):
    try:
        ring, holes = mend(points)
    except OutlineError as error:
        assert str(error)
    else:
        made = Polygon(np.reshape(ring, (-1, 2)), [np.reshape(h, (-1, 2)) for h in holes])
        assert made.is_valid
        assert made.area > 0


_json = st.recursive(
    st.none() | st.integers(-5, 400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_fields = ["type", "points", "elements", "label_id", "attributes", "rotation", "frame", "occluded", "source", "id"]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1), st.sampled_from(_fields), _json)
def test_whatever_cvat_says_of_a_shape_reading_never_fails(which, key, value):
    pushed = [polygon(), corners()]
    data = to_cvat(pushed, FRAMES, LABELS)
    data["shapes"][which][key] = value
    shapes, defects = from_cvat(TaskAnswer(7, LABELS, [JobAnswer(9, data)]), IMAGES, pushed)
    assert len(shapes) + sum(map(len, defects.values())) >= 1
    shapes_to_table(shapes)


def test_outlines_sent_as_masks_come_back_untouched_or_as_edited():
    ring = [10.0, 10, 60, 12, 58, 55, 12, 50]
    hole = [20.0, 20, 30, 20, 30, 30, 20, 30]
    pushed = [
        Shape(A, "colony", Kind.POLYGON, "Porites", ring, holes=[hole], source=Source.MODEL, score=0.9),
        Shape(A, "other", Kind.POLYGON, "Porites", [v + 70 for v in ring], source=Source.MODEL, score=0.8),
    ]
    data = to_cvat(pushed, FRAMES, LABELS, masks=True)
    assert [shape["type"] for shape in data["shapes"]] == ["mask", "mask"]
    *runs, left, top, right, bottom = data["shapes"][0]["points"]
    assert sum(runs) == (right - left + 1) * (bottom - top + 1)
    inside = sum(runs[1::2])
    wanted = Polygon(np.reshape(ring, (-1, 2)), [np.reshape(hole, (-1, 2))])
    # The pixel centres on the hole's own border belong to the colony.
    assert inside == pytest.approx(wanted.area, rel=0.06)
    # A person moves the second by two pixels.
    *runs, left, top, right, bottom = data["shapes"][1]["points"]
    data["shapes"][1]["points"] = [*runs, left + 2, top, right + 2, bottom]
    rows, defects = from_cvat(TaskAnswer(7, LABELS, [JobAnswer(1, data)]), IMAGES, pushed)
    assert defects == {}
    assert [(row.shape_id, row.source) for row in rows] == [("colony", Source.MODEL), ("other", Source.EDITED)]
    assert rows[0].points == pushed[0].points, "an untouched outline keeps its own points, not its pixels"


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 80), st.floats(0, 80)), min_size=3, max_size=9))
def test_any_outline_becomes_the_mask_of_the_pixels_whose_centres_lie_in_it(corners):
    hull = shapely.MultiPoint(corners).convex_hull
    assume(hull.geom_type == "Polygon" and hull.area > 4)
    ring = np.array(hull.exterior.coords[:-1]).ravel().tolist()
    try:
        *runs, left, top, right, bottom = mask_runs(ring, [])
    except OutlineError:
        return  # thinner than a pixel
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(bottom - top + 1, right - left + 1)
    wanted = rasterise(hull, 81, 81)
    again = np.zeros_like(wanted)
    again[top : bottom + 1, left : right + 1] = values
    assert (again == wanted).all()
