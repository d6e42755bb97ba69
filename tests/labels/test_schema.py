"""Label tables: rows survive Arrow, and what is wrong with them is named."""

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labels.schema import LABEL_SCHEMA, OUTSIDE, Kind, Shape, Source, label_defects, shapes_to_table, table_to_shapes

_number = st.floats(-1e5, 1e5, width=32)
_ring = st.lists(_number, min_size=3, max_size=8).map(lambda xs: xs + xs)
_text = st.text(max_size=12)
shapes = st.builds(
    Shape,
    image_id=_text,
    shape_id=_text,
    kind=st.sampled_from(Kind),
    label=_text,
    points=_ring,
    holes=st.lists(_ring, max_size=2),
    rle=st.none() | _text,
    attributes=st.dictionaries(_text, _text, max_size=3),
    score=st.none() | st.floats(0, 1, width=32),
    source=st.sampled_from(Source),
    model=st.none() | _text,
    annotator=st.none() | _text,
    reviewer=st.none() | _text,
    cvat_task=st.none() | st.integers(0, 2**40),
    cvat_job=st.none() | st.integers(0, 2**40),
    cvat_frame=st.none() | st.integers(0, 2**40),
    updated_at=st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)


@given(st.lists(shapes, max_size=4))
def test_rows_survive_the_table(rows):
    table = shapes_to_table(rows)
    assert table.schema.equals(LABEL_SCHEMA, check_metadata=True)
    assert table_to_shapes(table) == rows


def test_points_come_as_pairs_and_hidden_nodes_by_name():
    shape = Shape("a", "a:1", Kind.SKELETON, "lattice", [1, 2, 3, 4], attributes={OUTSIDE: "2,7"})
    assert shape.xy() == [(1, 2), (3, 4)]
    assert shape.outside_nodes() == ["2", "7"]
    assert Shape("a", "a:1", Kind.POINT, "x", [1, 2]).outside_nodes() == []


def good(**change):
    fields = {"image_id": "a", "shape_id": "a:1", "kind": "polygon", "label": "Porites", "points": [0, 0, 9, 0, 9, 9]}
    return Shape(**(fields | change))


def test_a_sound_table_has_no_defects():
    assert label_defects([good()], {"Porites"}, {"a": (10, 10)}) == []
    edge = good(points=[-0.5, -0.5, 9.5, -0.5, 9.5, 9.5])
    assert label_defects([edge], {"Porites"}, {"a": (10, 10)}) == []


def test_every_defect_is_named_with_its_row():
    cases = [
        ([good(), good()], "occurs twice"),
        ([good(kind="blob")], "unknown kind 'blob'"),
        ([good(label="Nemo")], "'Nemo' is not in the taxonomy"),
        ([good(points=[1, 2, 3, 4])], "too few"),
        ([good(points=[1, 2, 3, 4, 5, 6, 7])], "7 coordinates"),
        ([good(kind="mask", points=[])], "without run lengths"),
        ([good(image_id="b")], "not in the manifest"),
        ([good(points=[0, 0, 90, 0, 9, 9])], "outside the 10x10 picture"),
        ([good(points=[0, 0, float("nan"), 0, 9, 9])], "no numbers"),
        ([good(kind="skeleton", points=[float("inf"), 0])], "no numbers"),
        ([good(holes=[[1, 1, 2, 2]])], "hole"),
        ([good(score=1.5)], "score"),
    ]
    for rows, words in cases:
        defects = label_defects(rows, {"Porites"}, {"a": (10, 10)})
        assert len(defects) == 1, (words, defects)
        assert words in defects[0]
        assert defects[0].startswith(("a/", "b/"))


@given(st.lists(shapes, max_size=3))
def test_any_table_can_be_checked(rows):
    sizes = {row.image_id: (int(np.abs(row.points).max()) + 1, 10) for row in rows}
    assert all(isinstance(line, str) for line in label_defects(rows, {"x"}, sizes))
