"""Every painter changes mask pixels and no others, on pictures of any size, and says what is wrong with bad input."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.engines import EngineError
from inference.registry import ModelRegistry
from inference.removal import (
    LEARNED_MODEL,
    Mask,
    RemovalError,
    RemovalPlan,
    clean_picture,
    measured_string_mask,
    remove,
    score_removal,
    string_mask,
)
from inference.removal.learned import CONTEXT_PX, TILE_PX
from inference.removal.opencv import paint_opencv
from inference.removal.tiles import tiles_over
from inference.scenes import Scene, render_quadrat
from labels.lattice import load_topology

GRID = load_topology("grid-7x7")


def reef(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3)).astype(np.float32)
    return np.clip(110 + 220 * cv2.GaussianBlur(noise, (0, 0), 5), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def painter():
    return ModelRegistry().load(LEARNED_MODEL, threads=1).engine


@pytest.fixture(scope="module")
def scene() -> Scene:
    return render_quadrat(77, difficulty=0.3)


class Shifted:
    """A painter that gives all pixels another colour, to see where paint goes."""

    def predict(self, batch):
        return (1 - batch[:, :3],)


masks = st.builds(
    lambda height, width, seed, share: (
        np.random.default_rng(seed).random((height, width)) < share,
        np.random.default_rng(seed + 1).integers(0, 256, (height, width), dtype=np.uint8),
        reef(height, width, seed),
    ),
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(0, 1000),
    st.floats(0, 0.6),
)


@pytest.mark.parametrize("method", ["telea", "ns", "learned", "lama"])
@settings(max_examples=15, deadline=None)
@given(drawn=masks)
def test_only_mask_pixels_change_bit_for_bit_whatever_the_mask(method, drawn) -> None:
    where, alpha, picture = drawn
    mask = Mask(np.where(where, np.maximum(alpha, 1), 0).astype(np.uint8), where & (alpha > 128))
    if where.all():
        with pytest.raises(ValueError, match="covers the whole picture"):
            remove(picture, mask, method, engine=Shifted())
        return
    before = picture.copy()
    clean = remove(picture, mask, method, engine=Shifted())
    assert clean.shape == picture.shape and clean.dtype == np.uint8
    assert np.array_equal(clean[~where], picture[~where])
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("method", ["learned", "lama"])
def test_full_alpha_is_paint_and_a_soft_edge_is_a_blend_across_tiles(method) -> None:
    picture = np.full((300, 700, 3), 40, np.uint8)
    alpha = np.zeros((300, 700), np.uint8)
    alpha[100:110], alpha[99] = 255, 51
    clean = remove(picture, Mask(alpha, alpha == 255), method, engine=Shifted())
    assert (clean[100:110] == 215).all()
    assert (clean[99] == 75).all()  # a fifth of 215, four fifths of 40
    assert (clean[98] == 40).all()


@given(
    st.integers(1, 900),
    st.integers(1, 900),
    st.integers(0, 10_000),
    st.sampled_from([(64, 8), (TILE_PX, CONTEXT_PX), (100, 0)]),
)
@settings(max_examples=40, deadline=None)
def test_every_hole_pixel_lies_well_inside_some_tile(height, width, seed, sizes) -> None:
    side, context = sizes
    hole = np.zeros((height, width), np.uint8)
    rng = np.random.default_rng(seed)
    for _ in range(int(rng.integers(0, 5))):
        ends = rng.integers(0, (width, height), (2, 2))
        cv2.line(hole, ends[0].tolist(), ends[1].tolist(), 1, int(rng.integers(1, 9)))
    seen = np.zeros_like(hole)
    for tile in tiles_over(hole, side, context):
        assert 0 <= tile.y < height and 0 <= tile.x < width
        assert hole[tile.cut].any()
        y0 = tile.y + context if tile.y else 0
        x0 = tile.x + context if tile.x else 0
        y1 = tile.y + side - (context if tile.y + side < height else 0)
        x1 = tile.x + side - (context if tile.x + side < width else 0)
        seen[y0:y1, x0:x1] = 1
    assert (seen[hole > 0] == 1).all()


def test_a_painter_that_leaves_the_mask_is_caught(monkeypatch) -> None:
    monkeypatch.setattr("inference.removal.methods._blended", lambda image, painted, alpha: painted)
    with pytest.raises(RemovalError, match="outside the mask were changed"):
        remove(reef(64, 64), Mask.of(np.eye(64)), "learned", engine=Shifted())


def test_tiles_that_would_not_get_on_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot share"):
        tiles_over(np.ones((9, 9)), 16, 8)


@pytest.mark.parametrize("method", ["telea", "ns"])
def test_tiles_give_what_the_whole_picture_gives(method) -> None:
    picture = reef(700, 600, 3)
    hole = np.zeros((700, 600), np.uint8)
    for at in range(40, 700, 90):
        cv2.line(hole, (0, at), (599, at + 7), 1, 9)
        cv2.line(hole, (at, 0), (at - 5, 699), 1, 9)
    whole = paint_opencv(picture, hole > 0, method, 3, tile_px=1024)
    tiled = paint_opencv(picture, hole > 0, method, 3, tile_px=320)
    difference = np.abs(whole.astype(int) - tiled)[hole > 0]
    # The order in which far-away pixels are painted differs, which Telea's rounding shows here and there.
    assert (difference.max(axis=1) == 0).mean() > 0.97
    assert difference.mean() < 0.1


def test_the_learned_painter_beats_opencv_under_strings_and_shadow(painter, scene) -> None:
    topology, side = load_topology(), 960
    strung, bare = scene.rectified(side), scene.clean(side)
    mask = measured_string_mask(strung, scene.nodes_unit * (side - 1), topology)
    hole = mask.alpha > 0

    def error(method: str) -> float:
        clean = remove(strung, mask, method, engine=painter)
        return float(((clean.astype(float) - bare)[hole] ** 2).mean())

    # 1 dB less squared error than the better of the two, at half the usual side.
    assert error("learned") < 0.8 * min(error("telea"), error("ns"))


def test_nothing_of_the_strings_colour_passes_through_the_core(painter) -> None:
    picture = reef(400, 400, 5)
    mask = string_mask(GRID.ideal(400), GRID, 400, 3)
    made = []
    for colour in ((255, 255, 255), (0, 0, 0), (255, 0, 255)):
        strung = picture.copy()
        strung[mask.core] = colour
        clean = remove(strung, mask, "learned", engine=painter)
        made.append(clean[mask.core & (mask.alpha == 255)])
    assert np.array_equal(made[0], made[1]) and np.array_equal(made[0], made[2])


def test_learned_tiles_meet_without_a_seam(painter) -> None:
    side = 2 * TILE_PX
    picture = cv2.GaussianBlur(reef(side, side, 6), (0, 0), 4)
    mask = string_mask(GRID.ideal(side), GRID, side, 5)
    clean = remove(picture, mask, "learned", engine=painter).astype(int)
    step = np.abs(np.diff(clean, axis=1)).max(axis=2)
    inside = (mask.alpha[:, 1:] == 255) & (mask.alpha[:, :-1] == 255)
    rows = inside.sum(axis=0)
    mean = np.array([step[inside[:, x], x].mean() if rows[x] > 20 else 0 for x in range(side - 1)])
    usual = np.abs(np.diff(picture.astype(int), axis=1)).max(axis=2).mean()
    assert mean.max() < 4 * usual + 2


def test_a_soft_edge_surrounds_the_mask_and_the_core_lies_in_it() -> None:
    mask = string_mask(GRID.ideal(480) + 0.3, GRID, 480, 3, shadow_px=(6, 8))
    assert set(np.unique(mask.hole)) == {0, 255}
    assert ((mask.alpha > 0) & (mask.alpha < 255)).any()
    assert (mask.alpha[mask.core] > 0).all()
    assert 1.2 * mask.core.sum() < (mask.alpha > 0).sum()
    wider = string_mask(GRID.ideal(480) + 0.3, GRID, 480, 3, shadow_px=(6, 8), dilation_px=2)
    assert (wider.hole[mask.hole > 0] == 255).all()
    assert wider.hole.sum() > mask.hole.sum()


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.zeros((9, 9), np.uint8), "RGB pictures"),
        (np.zeros((9, 9, 1), np.uint8), "RGB pictures"),
        (np.zeros((9, 9, 3), np.float32), "RGB pictures.*float32"),
        (np.zeros((9, 8, 3), np.uint8), "must be the same size"),
    ],
    ids=["grey", "one channel", "floats", "another size"],
)
def test_pictures_that_are_none_are_named(picture, words) -> None:
    with pytest.raises(ValueError, match=words):
        remove(picture, Mask.of(np.eye(9)))


def test_masks_that_are_none_are_named() -> None:
    with pytest.raises(ValueError, match="a mask is"):
        Mask(np.zeros((4, 4), np.float32), np.zeros((4, 4), bool))
    with pytest.raises(ValueError, match="the core is"):
        Mask(np.zeros((4, 4), np.uint8), np.zeros((4, 5), bool))
    with pytest.raises(ValueError, match="no negative dilation"):
        string_mask(GRID.ideal(64), GRID, 64, 0)
    with pytest.raises(ValueError, match="needs a model"):
        remove(np.zeros((9, 9, 3), np.uint8), Mask.of(np.eye(9)), "learned")


@pytest.mark.parametrize("method", ["telea", "ns", "learned", "lama"])
def test_a_picture_of_one_pixel_is_kept_or_refused(method) -> None:
    picture = np.full((1, 1, 3), 7, np.uint8)
    assert np.array_equal(remove(picture, Mask.of([[0]]), method), picture)
    with pytest.raises(ValueError, match="covers the whole picture"):
        remove(picture, Mask.of([[1]]), method, engine=Shifted())


def test_a_model_of_another_shape_is_no_painter(painter) -> None:
    picture, mask = reef(64, 64), Mask.of(np.eye(64))

    class Segmenter:
        def predict(self, batch):
            return (np.zeros((len(batch), 7, 128, 128), np.float32),)

    with pytest.raises(RemovalError, match="no painter of strings"):
        remove(picture, mask, "learned", engine=Segmenter())
    with pytest.raises(RemovalError, match="another model"):
        remove(picture, mask, "lama", engine=Segmenter())
    with pytest.raises(EngineError):
        remove(picture, mask, "lama", engine=painter)


@pytest.mark.parametrize("nodes", [np.zeros((0, 2)), np.full((49, 2), np.nan)], ids=["none", "not numbers"])
def test_a_picture_without_usable_nodes_is_refused(nodes) -> None:
    with pytest.raises(ValueError, match="needs 49 finite nodes"):
        clean_picture(reef(128, 128), nodes, GRID, RemovalPlan())


def test_the_score_tells_strings_that_still_show(scene) -> None:
    topology, side = load_topology(), 960
    strung, nodes = scene.rectified(side), scene.nodes_unit * (side - 1)
    mask = measured_string_mask(strung, nodes, topology)
    left_in = score_removal(strung, mask, nodes, topology, 4)
    gone = score_removal(scene.clean(side), mask, nodes, topology, 4)
    painted = score_removal(remove(strung, mask), mask, nodes, topology, 4)
    assert gone.score > 0.95 and gone.defects == []
    assert painted.score > 0.9
    assert left_in.score < 0.4
    assert "strings still show" in left_in.defects[0]


def test_the_score_tells_a_mask_whose_edge_shows() -> None:
    picture = reef(480, 480)
    mask = string_mask(GRID.ideal(480), GRID, 480, 3)
    painted = picture.copy()
    painted[mask.alpha > 0] = 255 - painted[mask.alpha > 0]
    found = score_removal(painted, mask, GRID.ideal(480), GRID, 3)
    assert found.seam > 2
    assert any("edge shows" in defect for defect in found.defects)
    assert score_removal(picture, mask, GRID.ideal(480), GRID, 3).seam == pytest.approx(1, abs=0.2)
