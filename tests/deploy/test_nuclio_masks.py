"""Outlines on their way to CVAT, for any outline: no pixel, hole or node is lost."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon

from deploy.nuclio.response import items
from labels.formats.cvat import HALF_PIXEL, cut_holes
from labels.raster import rasterise
from labels.schema import OUTSIDE, Kind, Shape
from tests.deploy.cvat_lambda import numbered, taken

SIDE = 48


@st.composite
def colonies(draw):
    """A star-shaped outline inside the picture, now and then with a hole."""
    count = draw(st.integers(3, 12))
    centre = np.array([draw(st.floats(14, 34)), draw(st.floats(14, 34))])
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radii = np.array(draw(st.lists(st.floats(0.2, 13), min_size=count, max_size=count)))
    way = np.column_stack([np.cos(angles), np.sin(angles)])
    ring = centre + way * radii[:, None]
    holes = [(centre + way * (radii * 0.4)[:, None]).ravel().tolist()] if draw(st.booleans()) else []
    return Shape(
        "", "1", Kind.POLYGON, "Porites", ring.ravel().tolist(), holes, score=draw(st.floats(0, 1)), model="m@1"
    )


def label(kind):
    attributes = [{"name": "confidence", "input_type": "number", "values": ["0", "100", "1"]}]
    return [{"name": "Porites", "type": kind, "attributes": attributes}]


def bitmap(points):
    """The pixels of a mask as CVAT stores it."""
    *runs, left, top, right, bottom = points
    values = np.repeat(np.arange(len(runs)) % 2, runs).reshape(bottom - top + 1, right - left + 1)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : bottom + 1, left : right + 1] = values
    return mask


@settings(max_examples=60)
@given(colonies())
def test_a_mask_holds_exactly_the_pixels_whose_centres_lie_in_the_colony(colony):
    made = json.loads(json.dumps(items([colony], {}, "mask")))
    polygon = Polygon(colony.xy(), [list(zip(h[::2], h[1::2], strict=True)) for h in colony.holes])
    truth = rasterise(polygon, SIDE, SIDE)
    if not made:
        assert polygon.area < 2 or not truth.any()
        return
    shape = taken(made, label("mask"), numbered(label("mask")))["shapes"][0]
    assert (bitmap(shape["points"]) == truth).all()
    assert shape["points"] == sdk().encode_mask(truth)
    assert bitmap(shape["points"]).any(axis=1)[shape["points"][-3]], "the box is tight"


@settings(max_examples=60)
@given(colonies())
def test_a_polygon_covers_what_the_colony_covers(colony):
    made = items([colony], {}, "polygon")
    if not made:
        return
    shape = taken(made, label("mask"), numbered(label("polygon")))["shapes"][0]
    ring = np.array(shape["points"]).reshape(-1, 2) - HALF_PIXEL
    expected = np.array(cut_holes(colony.points, colony.holes)).reshape(-1, 2)
    assert ring.shape == expected.shape
    assert np.abs(ring - expected).max() <= 0.006, "CVAT keeps two decimals"
    assert shape["attributes"] == [{"spec_id": 2, "value": str(round(100 * colony.score))}]


@given(st.lists(st.tuples(st.floats(-50, 5000), st.floats(-50, 5000)), min_size=4, max_size=4), st.sets(st.sampled_from("1234")))  # fmt: skip  # noqa: E501
def test_a_skeleton_keeps_every_node_under_its_name(points, hidden):
    flat = [float(v) for xy in points for v in xy]
    shape = Shape("", "1", Kind.SKELETON, "frame", flat, attributes={OUTSIDE: ",".join(sorted(hidden))}, score=0.5)
    (item,) = items([shape], {"frame": "1234"}, "mask")
    assert [element["label"] for element in item["elements"]] == list("1234")
    assert {element["label"] for element in item["elements"] if element["outside"]} == hidden
    drawn = np.array([element["points"] for element in item["elements"]]) - HALF_PIXEL
    assert np.abs(drawn - np.array(points)).max() <= 0.0051


@pytest.mark.parametrize(
    "ring", [[], [1, 1, 5, 5], [3, 3, 3, 3, 3, 3], [1, 1, 1.2, 1, 1.1, 1.2], [1, 1, 9, 9, np.nan, 3]]
)
def test_what_cannot_be_drawn_is_left_out(ring):
    shape = Shape("", "1", Kind.POLYGON, "Porites", [float(v) for v in ring], score=0.9)
    assert items([shape], {}, "mask") == items([shape], {}, "polygon") == []


def sdk():
    from cvat_sdk import masks

    return masks
