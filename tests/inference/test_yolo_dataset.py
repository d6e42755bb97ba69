"""Outlines and pictures on their way into a YOLO-seg folder."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.training.recipe import RecipeError, load_recipe, shipped_recipes
from inference.training.yolo_dataset import DatasetError, Example, tuning_quadrats, write_dataset, yolo_line


def circle(x, y, radius, corners=40):
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], 1)


def painted(line, width, height):
    """A line as ultralytics paints it: one even-odd fill."""
    label, *shares = line.split()
    points = np.array(shares, float).reshape(-1, 2) * (width, height) - 0.5
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return int(label), mask > 0


@given(st.integers(0, 2**31), st.integers(0, 3))
@settings(max_examples=30)
def test_holes_stay_holes(seed, holes):
    rng = np.random.default_rng(seed)
    width, height = 320, 240
    ring = circle(160, 120, rng.uniform(80, 110))
    inner = [circle(120 + 40 * k, 120 + rng.uniform(-20, 20), rng.uniform(5, 15)) for k in range(holes)]
    label, mask = painted(yolo_line(3, ring, inner, width, height), width, height)
    truth = np.zeros((height, width), np.uint8)
    cv2.fillPoly(truth, [np.round(part * 16).astype(np.int32) for part in (ring, *inner)], 1, cv2.LINE_8, 4)
    assert label == 3
    assert (mask & (truth > 0)).sum() / (mask | (truth > 0)).sum() > 0.98


def example(number, quadrat=None, load=None, outlines=1):
    image = np.full((90, 120, 3), 50, np.uint8)
    shapes = [(0, circle(60, 45, 20), [])] * outlines
    return Example(f"{number:04d}", quadrat or f"q{number}", load or (lambda: image), shapes)


def test_pictures_of_a_quadrat_are_all_on_one_side(tmp_path):
    examples = [example(n, f"q{n % 5}") for n in range(20)]
    made = write_dataset(tmp_path / "d", examples, ["Porites"], 64)
    aside = {p.stem for p in (tmp_path / "d" / "images" / "tune").iterdir()}
    quadrats = {e.quadrat for e in examples if e.image_id in aside}
    assert {e.image_id for e in examples if e.quadrat in quadrats} == aside
    assert (made.train, made.tune, made.colonies) == (16, 4, 16)
    assert cv2.imread(str(next((tmp_path / "d" / "images" / "train").iterdir()))).shape == (48, 64, 3)
    assert write_dataset(tmp_path / "d", [], [], 64) == made, "what is written is kept for a run that goes on"


def test_the_quadrats_kept_aside_do_not_change_when_others_join():
    some = [f"site/{n}" for n in range(40)]
    before, after = tuning_quadrats(some), tuning_quadrats([*some, "site/new"])
    assert len(before & after) >= len(before) - 1


def test_a_picture_that_cannot_be_read_is_recorded_and_left_out(tmp_path):
    def torn():
        raise ValueError("the file is torn")

    made = write_dataset(tmp_path / "d", [*(example(n) for n in range(5)), example(9, load=torn)], ["Porites"], 64)
    assert made.unreadable == {"0009": "the file is torn"}
    assert made.train + made.tune == 5


@pytest.mark.parametrize("examples", [[], [example(1)], [example(1, outlines=0), example(2, outlines=0)]])
def test_too_little_to_train_on_is_said(tmp_path, examples):
    with pytest.raises(DatasetError, match="release more"):
        write_dataset(tmp_path / "d", examples, ["Porites"], 64)


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_can_be_used(name):
    assert load_recipe(name).fingerprint() != load_recipe(name, seed=7).fingerprint()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("nothing", None, "use one of coral-instances"),
        ("r.yaml", "epochs: 0\narchitecture: yolo11n-seg.yaml\nimage_px: 64\nbatch: 1\n", "epochs"),
        ("r.yaml", "epochs: 1\narchitecture: /tmp/evil.pt\nimage_px: 64\nbatch: 1\n", "architecture"),
        ("r.yaml", "epochs: 1\n", "architecture: Field required"),
        ("r.yaml", "- 1", "no list of"),
    ],
)
def test_a_recipe_that_is_wrong_names_the_field(tmp_path, monkeypatch, name, text, says):
    monkeypatch.chdir(tmp_path)
    if text:
        (tmp_path / name).write_text(text)
    with pytest.raises(RecipeError, match=says):
        load_recipe(name)
