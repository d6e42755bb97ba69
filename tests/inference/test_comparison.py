"""Comparing two models: figures against a plain reference, intervals that hold what they promise, and the rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.comparison import MIN_QUADRATS, compare, judge, region, score_picture
from inference.segmentation import Instance
from inference.training.evaluate import average_precision


def square(x, y, side):
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], float)


def picture(rng, found=1.0, shift=0.0):
    """Truth of up to six squares, and proposals: some missed, some moved, some invented."""
    truth, proposals = [], []
    for slot in range(int(rng.integers(1, 7))):
        label, ring = str(rng.choice(["A", "B"])), square(slot * 60, 0, 40)
        truth.append((label, ring))
        if rng.random() < found:
            proposals.append((label, ring + rng.uniform(-1, 1) * shift, float(rng.random())))
    if rng.random() < 0.3:
        proposals.append(("A", square(0, 500, 30), float(rng.random())))
    return truth, proposals


def scored(pictures, quadrats):
    return [
        score_picture(q, [region(label, ring, (), s) for label, ring, s in p], [region(*t) for t in truth])
        for q, (truth, p) in zip(quadrats, pictures, strict=True)
    ]


@given(st.integers(0, 2**31))
@settings(max_examples=25)
def test_average_precision_is_that_of_the_plain_reference(seed):
    rng = np.random.default_rng(seed)
    pictures = [picture(rng, found=0.8, shift=25) for _ in range(6)]
    mine = compare(scored(pictures, range(6)), None, ["A", "B"], rounds=2)
    plain = average_precision(
        ([Instance(label, ring, [], s) for label, ring, s in proposals], truth) for truth, proposals in pictures
    )
    # A recall that meets one of COCO's 101 thresholds may fall on either side of it by rounding.
    near = 1 / 101 + 1e-4
    for taxon, entry in mine["taxa"].items():
        assert entry["candidate"]["ap50"][0] == pytest.approx(plain[taxon], abs=near)
    assert mine["overall"]["candidate"]["ap50"][0] == pytest.approx(plain["mAP50"], abs=near)


def test_iou_is_common_over_joint_area_and_holes_are_no_colony():
    truth = [region("A", square(0, 0, 10), [square(2, 2, 5)])]
    [score] = [score_picture("q", [region("A", square(0, 0, 10))], truth)]
    assert score.areas["A"] == pytest.approx((75.0, 100.0))


def test_a_crossing_outline_is_measured_and_not_a_crash():
    bow = region("A", [[0, 0], [10, 10], [10, 0], [0, 10]])
    assert score_picture("q", [bow], [region("A", square(0, 0, 10))]).areas["A"][0] == pytest.approx(50)


def test_a_model_compared_with_itself_is_never_better():
    rng = np.random.default_rng(1)
    scores = scored([picture(rng, 0.7) for _ in range(20)], range(20))
    found = compare(scores, scores, ["A", "B"], rounds=50)
    assert found["overall"]["difference"]["ap50"] == [0.0, 0.0, 0.0]
    assert not judge(found).better


def models(quadrats, per_quadrat=2, good=0.95, bad=0.4):
    rng = np.random.default_rng(2)
    names = [f"site/{q}" for q in range(quadrats) for _ in range(per_quadrat)]
    return [scored([picture(rng, found) for _ in names], names) for found in (good, bad)]


def test_a_clearly_better_model_wins_and_the_worse_never_does():
    good, bad = models(20)
    assert judge(compare(good, bad, ["A", "B"], rounds=200)).better
    assert not judge(compare(bad, good, ["A", "B"], rounds=200)).better


def test_the_margin_must_be_exceeded_by_the_whole_interval():
    found = compare(*models(20), ["A", "B"], rounds=200)
    low = found["overall"]["difference"]["ap50"][1]
    assert judge(found, margin=low - 0.01).better
    assert not judge(found, margin=low + 0.01).better


def test_too_few_quadrats_decide_nothing_however_many_pictures():
    found = compare(*models(MIN_QUADRATS - 1, per_quadrat=30), ["A", "B"], rounds=50)
    verdict = judge(found)
    assert not verdict.better
    assert f"fewer than {MIN_QUADRATS} quadrats" in verdict.why


def test_pictures_of_one_quadrat_are_drawn_together():
    """Forty copies of a quadrat's picture say nothing more than one: the interval must not shrink."""
    rng = np.random.default_rng(4)
    pictures = [picture(rng, 0.6) for _ in range(8)]
    once = compare(scored(pictures, range(8)), None, ["A", "B"], rounds=300)
    many = compare(scored([p for p in pictures for _ in range(8)], [q for q in range(8) for _ in range(8)]), None, "AB")
    width = [np.ptp(found["overall"]["candidate"]["iou"][1:]) for found in (once, many)]
    assert width[1] == pytest.approx(width[0], rel=0.25)


def test_the_first_version_of_a_name_has_none_to_beat_but_needs_colonies():
    [good, _] = models(6)
    assert judge(compare(good, None, ["A", "B"], rounds=10)).better
    empty = [score_picture("q", [], []) for _ in range(6)]
    assert "no colony" in judge(compare(empty, None, ["A", "B"], rounds=10)).why
