"""Run lengths, average precision, panoptic quality, agreement and rules: known answers, and properties."""

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.quality.agreement import (
    NOT_RATED,
    agreement,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    ratings_at,
)
from analytics.quality.detection import average_precision, boundary_iou, cover_error, panoptic_quality
from analytics.quality.gate import reasons_against
from analytics.quality.rules import Broken, broken_rules
from analytics.quality.runs import areas, iou, runs_of, visible, without
from labels.formats.rle import encode_rle
from labels.schema import Kind, Shape
from labels.survey_model import Quality, Rule

LABELS = ("Acropora", "Porites")
SIZE = (200, 150)


def polygon(points, label="Porites", image="a", score=None, name=None):
    flat = [float(v) for v in np.ravel(points)]
    return Shape(image, name or f"{image}{label}{flat[:2]}", Kind.POLYGON, label, flat, score=score)


def square(x, y, side=40, **options):
    return polygon([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], **options)


masks = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).random((13, 11)) < 0.5)


def as_runs(mask):
    return {"size": list(mask.shape), "counts": encode_rle(mask).encode()}


@settings(max_examples=80)
@given(masks, masks)
def test_taking_one_mask_from_another_leaves_the_pixels_of_the_first_alone(one, other):
    left = coco_mask.decode(without(as_runs(one), as_runs(other)))
    assert (left.astype(bool) == (one & ~other)).all()


@settings(max_examples=40)
@given(st.lists(masks, min_size=1, max_size=4))
def test_what_is_visible_is_what_no_later_mask_covers(stack):
    seen = [coco_mask.decode(r).astype(bool) for r in visible([as_runs(m) for m in stack])]
    for k, part in enumerate(seen):
        above = np.any(stack[k + 1 :], axis=0) if k + 1 < len(stack) else np.zeros_like(part)
        assert (part == (stack[k] & ~above)).all()


def test_masks_and_polygons_of_the_same_ground_are_equal():
    ring = square(10, 20)
    painted = coco_mask.decode(runs_of([ring], *SIZE)[0]).astype(bool)
    mask = Shape("a", "m", Kind.MASK, "Porites", [], rle=encode_rle(painted))
    assert iou(runs_of([ring], *SIZE), runs_of([mask], *SIZE))[0, 0] == 1
    assert areas(runs_of([mask], *SIZE))[0] == painted.sum()


def test_shapes_without_an_area_have_no_overlap():
    line = polygon([[1, 1], [5, 5]])
    assert iou(runs_of([line], *SIZE), runs_of([square(0, 0)], *SIZE))[0, 0] == 0


def test_average_precision_of_known_cases():
    sizes = {"a": SIZE}
    truth = [square(10, 10), square(100, 10)]
    perfect = average_precision([square(10, 10, score=0.9), square(100, 10, score=0.8)], truth, LABELS, sizes)
    assert perfect["AP"] == pytest.approx(1)
    assert set(perfect["per_label"]) == {"Porites"}
    half = average_precision([square(10, 10, score=0.9)], truth, LABELS, sizes)
    assert half["AP50"] == pytest.approx(0.505, abs=0.01)
    assert average_precision([], truth, LABELS, sizes)["AP"] == 0
    assert average_precision(truth, [], LABELS, sizes)["AP"] is None


def test_panoptic_quality_of_known_cases():
    sizes = {"a": SIZE}
    truth = [square(10, 10), square(100, 10), square(10, 100, label="Acropora")]
    found = [square(10, 10), square(10, 100, label="Acropora"), square(150, 100, label="Acropora")]
    quality = panoptic_quality(found, truth, LABELS, sizes)
    assert quality["Porites"] == pytest.approx({"pq": 1 / 1.5, "sq": 1, "rq": 1 / 1.5, "tp": 1, "fp": 0, "fn": 1})
    assert quality["Acropora"]["rq"] == pytest.approx(1 / 1.5)


def test_boundaries_are_stricter_than_areas():
    one, other = runs_of([square(10, 10, 100), square(12, 12, 96)], *SIZE)
    area_iou = iou([one], [other])[0, 0]
    assert boundary_iou(one, one) == 1
    assert boundary_iou(one, other, width_px=4) < area_iou - 0.2


def test_cover_error_has_the_sign_of_the_proposals():
    sizes = {"a": SIZE, "b": SIZE}
    error = cover_error([square(10, 10)], [square(10, 10, 20)], LABELS, sizes)["Porites"]
    excess = (40 * 40 - 20 * 20) / (SIZE[0] * SIZE[1])
    assert error["bias"] == pytest.approx(excess / 2, rel=0.05)
    assert error["mean_absolute"] == pytest.approx(error["bias"])


def test_krippendorffs_own_example():
    # Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section C: nominal, 4 observers, missing data.
    rows = [
        "* * * * * 3 4 1 2 1 1 3 3 * 3",
        "1 * 2 1 3 3 4 3 * * * * * * *",
        "* * 2 1 3 4 4 * 2 1 1 3 3 * 4",
    ]
    ratings = np.array([[NOT_RATED if v == "*" else int(v) for v in row.split()] for row in rows]).T
    assert krippendorff_alpha(ratings) == pytest.approx(0.691, abs=5e-4)


def test_fleiss_own_kind_of_example():
    # Ten subjects, fourteen raters, five categories (the worked example that is printed everywhere): 0.210.
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    ratings = np.array([np.repeat(np.arange(5), row) for row in counts])
    assert fleiss_kappa(ratings) == pytest.approx(0.210, abs=5e-4)


def test_cohens_kappa_of_a_known_table():
    # 20 both yes, 5 yes/no, 10 no/yes, 15 both no: observed 0.7, by chance 0.5.
    pairs = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    assert cohen_kappa(np.array(pairs)) == pytest.approx(0.4)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(2, 4))
def test_agreement_is_one_for_equal_ratings_and_does_not_depend_on_names(seed, raters, categories):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, categories, 40)
    truth[:2] = [0, 1]
    same = np.repeat(truth[:, None], raters, axis=1)
    assert fleiss_kappa(same) == pytest.approx(1)
    assert krippendorff_alpha(same) == pytest.approx(1)
    noisy = np.where(rng.random(same.shape) < 0.3, rng.integers(0, categories, same.shape), same)
    renamed = rng.permutation(categories)[noisy]
    assert krippendorff_alpha(noisy) == pytest.approx(krippendorff_alpha(renamed))


def test_nobody_can_disagree_where_nothing_varies():
    assert np.isnan(cohen_kappa(np.zeros((5, 2), np.int64)))
    assert np.isnan(krippendorff_alpha(np.zeros((0, 2), np.int64)))


def test_agreement_per_class_comes_with_an_interval_that_holds_it():
    rng = np.random.default_rng(1)
    pictures = {}
    for k in range(12):
        truth = rng.integers(0, 3, 50)
        other = np.where(rng.random(50) < 0.2, rng.integers(0, 3, 50), truth)
        pictures[str(k)] = np.stack([truth, other], axis=1)
    found = agreement(pictures, LABELS, "cohen_kappa", resamples=200)
    assert set(found) == {"", *LABELS}
    for estimate in found.values():
        assert estimate.low < estimate.value < estimate.high
        assert estimate.value == pytest.approx(0.8, abs=0.15)
    with pytest.raises(ValueError, match="no picture"):
        agreement({}, LABELS, "cohen_kappa")


def test_points_are_rated_by_the_outline_that_covers_them():
    shapes = [square(0, 0, 40), square(20, 0, 40, label="Acropora")]
    assert ratings_at(shapes, [[10, 10], [30, 10], [55, 10], [150, 10]], LABELS).tolist() == [1, 1, 0, 2]


def rules(*shapes):
    return {(broken.rule, broken.shape_id, broken.other_id) for broken in broken_rules(shapes, *SIZE)}


def test_every_broken_rule_is_named_with_its_shapes():
    good = square(5, 5, name="good")
    twin = square(6, 5, name="twin", label="Acropora")
    leaning = square(30, 30, 40, name="leaning")
    bow = polygon([[100, 10], [140, 50], [140, 10], [100, 50]], name="bow")
    strip = polygon([[100, 100], [190, 100], [190, 101], [100, 101]], name="strip")
    speck = square(160, 20, 2, name="speck")
    outside = square(180, 60, 40, name="outside")
    line = polygon([[1, 140], [5, 145]], name="line")
    broken = polygon([[1, 1], [float("nan"), 2], [3, 3]], name="broken")
    assert rules(good) == set()
    found = rules(good, twin, leaning, bow, strip, speck, outside, line)
    assert {
        ("duplicate", "good", "twin"),
        ("self-crossing", "bow", None),
        ("sliver", "strip", None),
        ("tiny", "speck", None),
        ("out of frame", "outside", None),
        ("tiny", "line", None),
    } <= found
    assert ("overlap", "good", "leaning") in found
    assert rules(broken) == {("not a number", "broken", None)}


def test_the_gate_says_why_a_batch_is_not_fit():
    strict = Quality(max_failed_share=0.1, forbidden=["tiny"], min_accuracy=0.8, min_mean_iou=0.7)
    broken = [
        Broken(f"p{n}", Rule(rule), f"s{n}", None, 1.0, "") for n, rule in enumerate(("tiny", "sliver", "tiny"), 1)
    ]
    assert reasons_against(strict, 10, 3, broken, {"accuracy": 0.75, "mean_iou": 0.9}) == [
        "3 of 10 pictures have no labels (30%; max_failed_share is 10%)",
        "2 outlines break the rule 'tiny', the first is s1 of p1",
        "accuracy against the ground-truth job is 0.750, min_accuracy is 0.800",
    ]
    assert reasons_against(strict, 10, 1, [], {"accuracy": 0.8, "mean_iou": 0.7}) == []
    assert reasons_against(strict, 0, 0, [], None, reviewed=False) == ["it has no picture"]


def test_a_threshold_that_was_not_measured_is_not_reached_where_people_have_looked():
    strict = Quality(min_accuracy=0.8)
    [why] = reasons_against(strict, 10, 0, [], None)
    assert "accuracy against the ground-truth job is not measured" in why
    assert reasons_against(strict, 10, 0, [], {"accuracy": None}) == [why]
    assert reasons_against(strict, 10, 0, [], None, reviewed=False) == []
    assert reasons_against(Quality(), 10, 0, [], None) == []
