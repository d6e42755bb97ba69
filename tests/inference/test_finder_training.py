"""Training of the finders: truth maps fit their pictures, mirrored corners are renamed, ONNX says what torch says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'reefline[train]'")

from inference.engines import open_engine  # noqa: E402
from inference.heatmaps import peaks  # noqa: E402
from inference.registry import MODELS, ModelRegistry  # noqa: E402
from inference.scenes import render_scene, split_of  # noqa: E402
from inference.training.calibrate_finders import fit_logistic, fit_magnitude  # noqa: E402
from inference.training.finder_net import CROSSING_WIDTHS, STRIDE, FinderNet, export  # noqa: E402
from inference.training.finder_samples import samples_of  # noqa: E402
from inference.training.finder_targets import Stock, corner_sample, crossing_sample  # noqa: E402
from inference.training.train_finders import RECIPES, VALIDATION_FROM, batches, draw, register, train  # noqa: E402


@pytest.fixture(scope="module")
def stock() -> Stock:
    rng = np.random.default_rng(1)
    photo, square = samples_of(render_scene(81, "easy", size=(640, 540)), rng)
    bottom = rng.integers(60, 180, (800, 800, 3)).astype(np.uint8)
    return Stock([photo], [square], [bottom])


def test_hills_of_crossings_lie_on_the_strings_of_their_map(stock: Stock) -> None:
    rng = np.random.default_rng(5)
    on_string = []
    for _ in range(8):
        image, maps = crossing_sample(rng, stock)
        assert image.shape[0] == STRIDE * maps.shape[1]
        assert 0 <= image.min() <= image.max() <= 1
        for x, y in np.round(peaks(maps[0], 0.95)[0]).astype(int):
            near = maps[1][max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            on_string.append(near.max() > 0.3)
    assert len(on_string) > 30
    assert np.mean(on_string) > 0.9


def test_a_photos_four_hills_surround_its_opening_in_order(stock: Stock) -> None:
    rng = np.random.default_rng(3)
    whole = 0
    for _ in range(20):
        _, maps = corner_sample(rng, stock)
        spots = [peaks(hill, 0.95)[0] for hill in maps[:4]]
        if any(len(spot) != 1 for spot in spots):
            continue  # no frame, two frames, or one that reaches over the edge
        whole += 1
        top_left, top_right, bottom_right, bottom_left = (spot[0] for spot in spots)
        assert top_left[0] < top_right[0]
        assert bottom_left[0] < bottom_right[0]
        assert top_left[1] < bottom_left[1]
        x, y = np.round(np.mean([spot[0] for spot in spots], axis=0)).astype(int)
        assert maps[4, y, x] == 1
    assert whole > 8


def test_drawing_twice_gives_the_same_and_mirrored_corners_change_their_names(stock: Stock) -> None:
    recipe = RECIPES["corners"]
    first, second = (draw(recipe, stock, 4, 12, workers=1) for _ in range(2))
    assert np.array_equal(first.images, second.images)
    for _, (_, maps) in zip(range(6), batches(recipe, first, 2), strict=False):
        for one in maps.numpy():
            spots = [peaks(hill.astype(np.float32), 0.95)[0] for hill in one[:4]]
            if all(len(spot) == 1 for spot in spots):
                assert spots[0][0][0] < spots[1][0][0]
                assert spots[0][0][1] < spots[3][0][1]


def test_a_few_steps_lower_the_loss_and_onnx_says_what_torch_says(stock: Stock, tmp_path: Path, capsys) -> None:
    recipe = RECIPES["crossings"]
    net = train(recipe, draw(recipe, stock, 4, 2, workers=1), seed=1, steps=11)
    losses = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines() if "loss" in line]
    assert losses[-1] < 0.8 * losses[0]
    export(net, tmp_path / "net.onnx", 64)
    picture = np.random.default_rng(2).random((2, 3, 64, 64)).astype(np.float32)
    expected = net(torch.from_numpy(picture)).detach().numpy()
    found = open_engine("onnxruntime", (tmp_path / "net.onnx").read_bytes(), threads=1).predict(picture)[0]
    assert found.shape == (2, 2, 16, 16)
    assert np.abs(found - expected).max() < 1e-4


def test_the_shipped_finders_fit_their_recipes_and_were_not_trained_on_other_splits() -> None:
    for recipe in RECIPES.values():
        card = next(card for card in ModelRegistry().cards() if card.task == recipe.task)
        assert card.labels == recipe.labels
        assert card.input_px == recipe.input_px
        assert (MODELS / card.file).stat().st_size < 4e6
    assert split_of(510_000) == "train"
    assert split_of(VALIDATION_FROM) == "validation"


def test_registering_replaces_the_same_version_and_keeps_the_others(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(
        "# a comment\nmodels:\n- {name: a, version: '1'}\n- {name: b, version: '1'}\n"
    )
    register({"name": "a", "version": "1", "labels": ["x"]}, tmp_path)
    register({"name": "a", "version": "2"}, tmp_path)
    text = (tmp_path / "models.yaml").read_text(encoding="utf-8")
    assert text.startswith("# a comment")
    assert text.count("name: a") == 2
    assert text.count("name: b") == 1


def test_the_fits_recover_what_made_the_data() -> None:
    rng = np.random.default_rng(7)
    seen = rng.uniform(0, 1, 4000)
    right = rng.random(4000) < 1 / (1 + np.exp(-(8 * seen - 3)))
    intercept, weights, counts = fit_logistic([{"seen": float(v)} for v in seen], right.tolist())
    chance = 1 / (1 + np.exp(-(intercept + weights["seen"] * seen)))
    for low in (0.0, 0.25, 0.5, 0.75):
        group = (seen >= low) & (seen < low + 0.25)
        assert abs(chance[group].mean() - right[group].mean()) < 0.08
    assert counts == {"scenes": 4000, "right": int(right.sum())}
    gap = rng.uniform(0, 2, 4000)
    error = np.abs(rng.normal(0, 1, 4000)) * np.exp(gap)
    intercept, weights, _ = fit_magnitude({"gap": gap}, error)
    assert abs((error <= np.exp(intercept + weights["gap"] * gap)).mean() - 0.683) < 0.03
    assert weights["gap"] == pytest.approx(1.0, abs=0.15)
    assert len(FinderNet(2, CROSSING_WIDTHS).state_dict()) > 0
