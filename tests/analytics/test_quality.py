"""Quality: the figures are CVAT's, and what people changed is found and named."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.quality import (
    Confusion,
    QualitySettings,
    changes_table,
    compare_batch,
    compare_picture,
    compare_skeletons,
    conflicts_table,
    oks,
    pair,
)
from analytics.quality.truth import Answer, against_truth
from labels.schema import Kind, Shape

LABELS = ("Acropora", "Porites")
SIZE = (1000, 1000)


@pytest.fixture(scope="module")
def vectors(request):
    path = request.config.rootpath.parent / "shared" / "vectors" / "quality.json"
    if not path.exists():
        pytest.skip("the outputs of CVAT's own functions are not beside the project")
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_figure_is_the_one_that_cvats_own_functions_give(vectors):
    for case in vectors["cases"]:
        labels = tuple(str(k) for k in range(case["n_labels"]))
        # CVAT counts from the corner of the first pixel, label tables from its centre.
        ds, gt = (
            [
                Shape("a", f"{side}{i}", Kind.POLYGON, str(s["label"]), [v - 0.5 for v in s["points"]])
                for i, s in enumerate(case[side])
            ]
            for side in ("ds", "gt")
        )
        thresholds = QualitySettings(case["iou_threshold"], case["low_overlap_threshold"])
        size = (case["image"]["width"], case["image"]["height"])
        picture = compare_picture("a", ds, gt, labels, size, thresholds)
        expected, counts = case["expected"], picture.confusion
        assert counts.matrix.tolist() == expected["confusion_matrix_rows_ds_cols_gt"], case["name"]
        for name in ("valid", "total", "missing", "extra", "ds_count", "gt_count"):
            assert getattr(counts, name) == expected[name], (case["name"], name)
        assert counts.mismatching == expected["mismatching_label"]
        for name in ("accuracy", "precision", "recall"):
            assert counts.micro()[name] == pytest.approx(expected[name], abs=1e-12), case["name"]
        for name in ("precision", "recall", "jaccard", "accuracy"):
            assert counts.per_label()[name] == pytest.approx(expected[f"label_{name}"], abs=1e-12), case["name"]
        assert picture.mean_iou == pytest.approx(expected["mean_iou"], abs=1e-9)
        low = sum(row["conflict"] == "low_overlap" for row in picture.conflicts)
        assert low == expected["low_overlap_conflicts"], case["name"]


def test_keypoint_similarity_is_cvats(vectors):
    for case in vectors["oks"]:
        value = oks(case["a"], case["b"], case["visible_a"], case["visible_b"], case["scale"], case["sigma"])
        assert value == pytest.approx(case["expected"], abs=1e-12)


def box(x, y, w=100, h=100, label="Porites", image="a", number=0):
    ring = [float(v) for v in (x, y, x + w, y, x + w, y + h, x, y + h)]
    return Shape(image, f"{image}:{label}:{x}:{y}:{number}", Kind.POLYGON, label, ring)


def compare(ds, gt, **options):
    sizes = dict.fromkeys(("a", "b"), SIZE)
    return compare_batch(ds, gt, LABELS, sizes, QualitySettings(**options))


def test_an_untouched_batch_is_perfect():
    shapes = [box(0, 0), box(300, 300, label="Acropora"), box(0, 0, image="b")]
    report = compare(shapes, shapes).to_json()
    assert report["changes"] == {"unchanged": 3}
    assert (report["accuracy"], report["precision"], report["recall"], report["mean_iou"]) == (1, 1, 1, 1)


def test_each_kind_of_change_is_counted_and_named():
    proposed = [box(0, 0), box(200, 0), box(400, 0), box(600, 0)]
    reviewed = [box(0, 0), box(210, 10), box(400, 0, label="Acropora"), box(0, 500)]
    result = compare(proposed, reviewed)
    report = result.to_json()
    assert report["changes"] == {"unchanged": 1, "reshaped": 1, "relabelled": 1, "deleted": 1, "added": 1}
    kinds = sorted(row["conflict"] for row in conflicts_table(result.conflicts, "corals").to_pylist())
    assert kinds == ["extra_annotation", "low_overlap", "mismatching_label", "missing_annotation"]
    # rows proposed, columns reviewed, last index unmatched
    assert report["confusion"] == [[0, 0, 0], [1, 2, 1], [0, 1, 0]]
    assert report["accuracy"] == pytest.approx(2 / 5)
    assert report["precision"] == pytest.approx(2 / 4)
    assert report["recall"] == pytest.approx(2 / 4)
    assert report["per_label"]["Porites"]["jaccard"] == pytest.approx(2 / (4 + 3 - 2))


def test_without_changes_all_other_figures_stay():
    sides = [box(0, 0), box(200, 0), box(400, 0)], [box(0, 0), box(210, 10), box(400, 0, label="Acropora"), box(0, 500)]
    sizes = dict.fromkeys(("a", "b"), SIZE)
    alone = compare_batch(*sides, LABELS, sizes, with_changes=False)
    assert alone.changes == []
    assert alone.to_json() | {"changes": None} == compare(*sides).to_json() | {"changes": None}
    assert alone.conflicts == compare(*sides).conflicts


def test_a_reshape_is_measured_in_pixels():
    change = compare([box(100, 100)], [box(110, 100)]).changes[0]
    assert change.what == "reshaped"
    assert change.changed_px == pytest.approx(2 * 10 * 100, rel=0.02)
    assert change.moved_px == pytest.approx(10)
    table = changes_table([change])
    assert table["label_before"].to_pylist() == ["Porites"]


def test_added_and_deleted_outlines_weigh_with_their_area():
    changes = {c.what: c for c in compare([box(100, 100)], [box(500, 500, 50, 50)]).changes}
    assert changes["deleted"].changed_px == pytest.approx(100 * 100, rel=0.02)
    assert changes["added"].changed_px == pytest.approx(50 * 50, rel=0.02)


def test_the_worst_picture_comes_first():
    result = compare([box(0, 0, image="a"), box(0, 0, image="b")], [box(0, 0, image="a"), box(50, 0, image="b")])
    assert [p.image_id for p in result.pictures] == ["b", "a"]


def test_shapes_of_different_pictures_never_match():
    result = compare([box(0, 0, image="a")], [box(0, 0, image="b")])
    assert result.to_json()["changes"] == {"deleted": 1, "added": 1}


def test_a_shape_of_an_unknown_picture_or_label_is_said():
    with pytest.raises(ValueError, match="not in the batch's manifest"):
        compare([box(0, 0, image="z")], [])
    with pytest.raises(ValueError, match="'Elkhorn' is not in the taxonomy"):
        compare([box(0, 0, label="Elkhorn")], [])


def test_a_hole_is_no_part_of_an_outline():
    ring = box(0, 0, 200, 200)
    hole = [50.0, 50.0, 150.0, 50.0, 150.0, 150.0, 50.0, 150.0]
    with_hole = Shape("a", "h", Kind.POLYGON, "Porites", ring.points, holes=[hole])
    value = compare([with_hole], [ring]).ious[0]
    assert value == pytest.approx(1 - 100 * 100 / (200 * 200), abs=0.01)


def test_only_what_is_visible_is_compared_when_asked():
    below, above = box(0, 0, 200, 200), box(0, 0, 200, 196, label="Acropora")
    report = compare([below, above], [below, above], visible_only=True)
    covered = [row for row in report.conflicts if row["conflict"] == "covered_annotation"]
    assert [row["proposed_id"] for row in covered] == [below.shape_id]
    assert covered[0]["value"] < 0.05


def test_an_empty_picture_weighs_only_when_asked():
    assert compare([], []).to_json()["accuracy"] == 0
    assert compare([], [], empty_is_annotated=True).to_json()["accuracy"] == 1
    mixed = compare([box(0, 0)], [box(0, 0, label="Acropora")], empty_is_annotated=True).to_json()
    # One picture is empty on both sides, the other has a pair of two labels: it is not empty.
    assert mixed["accuracy"] == pytest.approx(1 / 2)


def test_macro_and_worst_speak_of_labels_that_occur():
    confusion = Confusion(("x", "y", "z"), np.array([[3, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]))
    assert confusion.macro()["recall"] == pytest.approx((1 + 1 / 2) / 2)
    assert confusion.worst()["recall"] == ("y", 0.5)
    assert confusion.micro()["dice"] == pytest.approx(2 * 4 / 10)


def test_a_pair_exactly_at_the_threshold_matches():
    assert pair(np.array([[0.4]]), ["x"], ["x"], 0.4).matches == [(0, 0)]
    assert pair(np.array([[0.399]]), ["x"], ["x"], 0.4).matches == []
    assert pair(np.array([[np.nan]]), ["x"], ["x"], 0.4).missing == [0]


@settings(max_examples=50)
@given(st.integers(0, 6), st.integers(0, 6), st.randoms(use_true_random=False))
def test_matching_is_one_to_one_and_does_not_depend_on_the_side(n, m, random):
    ious = np.array([[random.random() for _ in range(m)] for _ in range(n)]).reshape(n, m)
    pairs = pair(ious, ["x"] * n, ["x"] * m, 0.4)
    assert len({i for i, _ in pairs.pairs}) == len({j for _, j in pairs.pairs}) == len(pairs.pairs)
    assert all(ious[i, j] >= 0.4 for i, j in pairs.pairs)
    assert len(pairs.pairs) + len(pairs.extra) == n
    assert len(pairs.pairs) + len(pairs.missing) == m
    turned = pair(ious.T, ["x"] * m, ["x"] * n, 0.4)
    assert sum(ious[i, j] for i, j in pairs.pairs) == pytest.approx(sum(ious[j, i] for i, j in turned.pairs))


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


def test_annotators_are_measured_against_the_ground_truth_each_and_together():
    truth = {"a": [box(0, 0), box(300, 0, label="Acropora")], "b": [box(0, 0, image="b")]}
    answers = [
        Answer("a", 1, "anna", [box(0, 0), box(300, 0, label="Acropora")]),
        Answer("a", 2, "bert", [box(0, 0), box(300, 0)]),
        Answer("b", 2, "bert", []),
    ]
    figures = against_truth(answers, truth, LABELS, dict.fromkeys("ab", SIZE))
    assert figures["answers"] == 3
    assert figures["by_annotator"]["anna"]["accuracy"] == 1
    assert figures["by_annotator"]["bert"]["recall"] == pytest.approx(1 / 3)
    assert 0 < figures["agreement"]["all"]["value"] < 1
    assert figures["valid"] == 3
    json.dumps(figures, allow_nan=False)
    assert against_truth([], {}, LABELS, {}) is None
