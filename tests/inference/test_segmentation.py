"""The shipped coral model on scenes it was never trained on."""

import numpy as np
import pytest

from inference.registry import ModelRegistry
from inference.scenes import TAXA
from inference.segmentation import Instance, Segmenter, instances, segment
from inference.training.evaluate import average_precision
from inference.training.samples import HELD_OUT_FROM, picture


@pytest.fixture(scope="module")
def model():
    return Segmenter.of(ModelRegistry().load("demo-corals", threads=2))


def test_it_finds_most_colonies_of_scenes_it_never_saw(model):
    pairs = []
    for number in range(100, 103):  # not the scenes of the model card
        image, truth = picture(HELD_OUT_FROM + number, inpainted=True)
        pairs.append((segment(image, model), truth))
    assert average_precision(pairs)["mAP50"] > 0.7


def test_outlines_are_in_the_pixels_of_the_picture_given(model):
    image, _ = picture(HELD_OUT_FROM + 100, inpainted=False, side_px=1200)
    found = segment(image, model)
    assert found
    points = np.concatenate([i.ring for i in found])
    assert points.min() >= 0
    assert 1100 < points.max() <= 1199
    assert all(i.label in TAXA and 0 < i.score <= 1 for i in found)
    assert [i.score for i in found] == sorted((i.score for i in found), reverse=True)


@pytest.mark.parametrize("shape", [(1, 1, 3), (64, 48, 3), (640, 640, 3)])
def test_a_picture_of_nothing_has_no_colonies(model, shape):
    assert segment(np.full(shape, 180, np.uint8), model) == []


def test_two_colonies_of_one_taxon_that_touch_stay_two():
    classes = np.zeros((2, 320, 320), np.float32)
    classes[1, 100:200, 50:250] = 1
    classes[0] = 1 - classes[1]
    core = np.zeros((320, 320), np.float32)
    core[115:185, 65:135] = core[115:185, 165:235] = 1
    found = instances(classes, core, ("Porites",), 960, 960)
    assert len(found) == 2
    left, right = sorted(found, key=lambda i: i.ring[:, 0].min())
    assert left.ring[:, 0].max() <= right.ring[:, 0].min() + 6


def square(x, label="Porites", score=0.9):
    return Instance(label, np.array([[x, 0], [x + 10, 0], [x + 10, 10], [x, 10]], float), [], score)


def test_average_precision_of_known_cases():
    truth = [("Porites", square(0).ring), ("Porites", square(100).ring)]
    assert average_precision([([square(0), square(100)], truth)])["mAP50"] == pytest.approx(1)
    assert average_precision([([square(0)], truth)])["mAP50"] == pytest.approx(0.5, abs=0.01)
    assert average_precision([([square(0, "Acropora")], truth)])["mAP50"] == 0
    twice = [square(0, score=0.9), square(0, score=0.8), square(100, score=0.7)]
    assert 0.8 < average_precision([(twice, truth)])["mAP50"] < 1
