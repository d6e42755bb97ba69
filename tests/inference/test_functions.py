"""Detectors and ``cvat_sdk`` functions, without a server."""

from types import SimpleNamespace

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import pytest
from PIL import Image

from inference.functions import corals, corners, lattice
from inference.functions.auto_annotation import AutoAnnotation
from inference.functions.detectors import Detection, FunctionSetupError, LatticeDetector, way_to
from inference.scenes import render_quadrat
from labels.formats.cvat import corner_label_spec, taxonomy_label_specs
from labels.lattice import load_topology
from labels.schema import OUTSIDE, Kind, Shape
from labels.taxonomy import TaxonomyError, load_taxonomy

PICTURE = Image.new("RGB", (64, 48), (120, 120, 120))


class Fixed:
    """A detector that always finds the same."""

    reference = "fixed@1"

    def __init__(self, labels, *shapes):
        self.labels, self.shapes = labels, list(shapes)
        self.asked = None

    def detect(self, image, threshold=None):
        self.asked = (image.shape, image.dtype, threshold)
        return Detection(self.shapes)


def context(threshold=None, polygons=False):
    return SimpleNamespace(frame_name="p.jpg", conf_threshold=threshold, conv_mask_to_poly=polygons)


def frame(**more):
    points = [10.0, 10.0, 50.0, 10.0, 50.0, 40.0, 10.0, 40.0]
    return Shape("", "0", Kind.SKELETON, "frame", points, score=0.934, **more)


def colony():
    ring = [10.0, 10.0, 40.0, 10.0, 40.0, 40.0, 10.0, 40.0]
    hole = [20.0, 20.0, 30.0, 20.0, 30.0, 30.0, 20.0, 30.0]
    return Shape("", "0", Kind.POLYGON, "Porites", ring, [hole], score=0.5)


def test_a_function_gets_pixels_and_the_threshold_that_the_person_chose():
    detector = Fixed([corner_label_spec("frame")], frame())
    (shape,) = AutoAnnotation(detector, "skeleton").detect(context(0.7), PICTURE.convert("L"))
    assert detector.asked == ((48, 64, 3), np.uint8, 0.7)
    assert shape.type.value == "skeleton"
    assert [element.points for element in shape.elements][:2] == [[10.5, 10.5], [50.5, 10.5]]
    assert shape.attributes[0]["value"] == "93"


def test_hidden_nodes_are_outside_in_a_skeleton_and_missing_among_points():
    detector = Fixed([corner_label_spec("frame")], frame(attributes={OUTSIDE: "2"}))
    (skeleton,) = AutoAnnotation(detector, "skeleton").detect(context(), PICTURE)
    assert [element.outside for element in skeleton.elements] == [False, True, False, False]
    points = AutoAnnotation(detector, "points")
    assert [label.type for label in points.spec.labels] == ["points"]
    (shape,) = points.detect(context(), PICTURE)
    assert (shape.type.value, len(shape.points)) == ("points", 6)


def test_outlines_are_masks_with_holes_or_polygons_as_the_person_asks():
    function = AutoAnnotation(Fixed(taxonomy_label_specs(load_taxonomy("demo-reef")), colony()), "mask")
    (mask,) = function.detect(context(), PICTURE)
    assert (mask.type.value, mask.points[-4:]) == ("mask", [10, 10, 40, 40])
    covered = sum(mask.points[1:-4:2])
    assert 31 * 31 - 11 * 11 <= covered < 31 * 31
    (polygon,) = function.detect(context(polygons=True), PICTURE)
    assert polygon.type.value == "polygon"
    assert min(polygon.points) == 10.5


def test_the_shipped_functions_declare_the_labels_of_reeflines_projects():
    for function, kind in (
        (corners.create(), "skeleton"),
        (lattice.create(), "skeleton"),
        (corals.create(), "polygon"),
    ):
        assert isinstance(function.spec, cvataa.DetectionFunctionSpec)
        assert {label.type for label in function.spec.labels} == {kind}
    assert [label.name for label in corals.create().spec.labels] == list(load_taxonomy("demo-reef").names)
    assert tuple(node.name for node in lattice.create().spec.labels[0].sublabels) == load_topology().node_ids
    assert len(lattice.create("grid-7x7", "strings").spec.labels[0].sublabels) == 49


@pytest.mark.parametrize(
    ("make", "form", "known"), [(corals, "skeleton", "polygon, mask"), (corners, "mask", "skeleton, points")]
)
def test_a_form_that_a_function_cannot_give_names_those_it_can(make, form, known):
    with pytest.raises(FunctionSetupError, match=f"no shape '{form}' for this function: use one of {known}"):
        make.create(shape=form)


def test_a_lattice_whose_strings_are_not_seen_is_no_skeleton():
    found = LatticeDetector().detect(np.full((600, 600, 3), 90, np.uint8))
    assert (found.shapes, bool(found.notes)) == ([], True)


def test_a_lattice_of_another_frame_is_found_too():
    topology = load_topology("grid-7x7")
    scene = render_quadrat(31, difficulty=0.2, size=(1200, 1000), topology=topology)
    (shape,) = LatticeDetector("grid-7x7").detect(scene.rectified(640)).shapes
    assert np.abs(np.array(shape.xy()) - scene.nodes_unit * 639).mean() < 2


def test_labels_go_to_the_wanted_taxonomy_by_the_shortest_known_way():
    demo = load_taxonomy("demo-reef").names
    assert way_to(demo, "criobe-finegrained").apply("Porites") == "Porites"
    assert way_to(demo, "criobe-families").apply("Millepora") == "Other"
    assert {way_to(demo, "agnostic").apply(name) for name in demo} == {"coral"}
    assert way_to(["Fungia"], "criobe-families", "criobe-finegrained").apply("Fungia") == "Other"


def test_labels_without_a_way_are_refused_when_the_function_starts():
    with pytest.raises(FunctionSetupError, match="finds sponge, unknown to taxonomy demo-reef"):
        way_to(["Porites", "sponge"], "demo-reef")
    with pytest.raises(FunctionSetupError, match="finds sponge, unknown to taxonomy criobe-finegrained"):
        way_to(["sponge"], "criobe-families", "criobe-finegrained")
    with pytest.raises(FunctionSetupError, match="no crosswalk agnostic -> demo-reef"):
        way_to(["coral"], "demo-reef", "agnostic")
    with pytest.raises(TaxonomyError):
        way_to(["coral"], "no-such")
