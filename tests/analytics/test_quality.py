"""Quality: what people changed is found and named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.quality import compare_outlines, compare_skeletons, conflicts_table, match
from labels.schema import Kind, Shape

LABELS = ["Acropora", "Porites"]


def box(x, y, w=100, h=100, label="Porites", image="a", number=0):
    ring = [float(v) for v in (x, y, x + w, y, x + w, y + h, x, y + h)]
    return Shape(image, f"{image}:{label}:{x}:{y}:{number}", Kind.POLYGON, label, ring)


def test_an_untouched_batch_is_perfect():
    shapes = [box(0, 0), box(300, 300, label="Acropora"), box(0, 0, image="b")]
    report = compare_outlines(shapes, shapes, LABELS).to_json()
    assert report["changes"] == {"unchanged": 3}
    assert (report["accuracy"], report["precision"], report["recall"], report["mean_iou"]) == (1, 1, 1, 1)


def test_each_kind_of_change_is_counted_and_named():
    proposed = [box(0, 0), box(200, 0), box(400, 0), box(600, 0)]
    reviewed = [box(0, 0), box(210, 10), box(400, 0, label="Acropora"), box(0, 500)]
    result = compare_outlines(proposed, reviewed, LABELS)
    assert dict(result.changes) == {"unchanged": 1, "reshaped": 1, "relabelled": 1, "deleted": 1, "added": 1}
    kinds = sorted(row["conflict"] for row in conflicts_table(result.conflicts, "corals").to_pylist())
    assert kinds == ["extra_annotation", "low_overlap", "mismatching_label", "missing_annotation"]
    report = result.to_json()
    # rows proposed, columns reviewed, last index unmatched
    assert report["confusion"] == [[0, 0, 0], [1, 2, 1], [0, 1, 0]]
    assert report["accuracy"] == pytest.approx(2 / 5)
    assert report["precision"] == pytest.approx(2 / 4)
    assert report["recall"] == pytest.approx(2 / 4)
    assert report["per_label"]["Porites"]["jaccard"] == pytest.approx(2 / (4 + 3 - 2))


def test_shapes_of_different_pictures_never_match():
    result = compare_outlines([box(0, 0, image="a")], [box(0, 0, image="b")], LABELS)
    assert dict(result.changes) == {"deleted": 1, "added": 1}


def test_a_pair_exactly_at_the_threshold_matches():
    assert match(np.array([[0.4]]), 0.4) == [(0, 0)]
    assert match(np.array([[0.399]]), 0.4) == []


@settings(max_examples=50)
@given(st.integers(0, 6), st.integers(0, 6), st.randoms(use_true_random=False))
def test_matching_is_one_to_one_and_does_not_depend_on_the_side(n, m, random):
    ious = np.array([[random.random() for _ in range(m)] for _ in range(n)]).reshape(n, m)
    pairs = match(ious, 0.4)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(ious[i, j] >= 0.4 for i, j in pairs)
    turned = match(ious.T, 0.4)
    assert sum(ious[i, j] for i, j in pairs) == pytest.approx(sum(ious[j, i] for i, j in turned))


def test_nothing_on_either_side_is_no_error():
    assert compare_outlines([], [], LABELS).to_json()["accuracy"] == 1
    assert compare_outlines([box(0, 0)], [], LABELS).to_json()["precision"] == 0


def skeleton(image, points):
    return Shape(image, f"{image}:s", Kind.SKELETON, "quadrat_corner", [float(v) for v in np.ravel(points)])


def test_moved_nodes_are_measured_in_pixels_and_the_worst_picture_comes_first():
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]])
    moved = np.add(square, [[3, 4], [0, 0], [0, 0], [0, 0]])
    report = compare_skeletons(
        [skeleton("a", square), skeleton("b", square)],
        [skeleton("a", square), skeleton("b", moved), skeleton("c", square)],
    )
    assert report["max_px"] == 5
    assert report["moved_share"] == pytest.approx(1 / 8)
    assert report["worst"][0]["image_id"] == "b"
    assert report["drawn_anew"] == 1
