"""Borders located again: a dark bar in its own shadow, growth on it, stickers, a lens, and a start that is off."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inference.corners.geometry import Views
from inference.corners.learned import _from_quad
from inference.corners.parting import Samples, parting
from inference.corners.quads import Quad
from inference.corners.refine import refine_frame
from inference.corners.sides import STATIONS, Strip, best_paths

SIDE = 640
CORNERS = np.array([[121.0, 96.0], [531.0, 108.0], [520.0, 522.0], [110.0, 512.0]])
BAR_PX = 26
DARK = (44, 48, 52)


def _reef(rng: np.random.Generator) -> np.ndarray:
    rough = sum(
        cv2.resize(rng.normal(0, 1, (n, n, 1)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        for n in (30, 90, 220)
    )
    return np.clip(118 + 22 * rough[..., None] * np.array([1.0, 1.05, 0.9]), 10, 250).astype(np.float32)


def _filled(quad: np.ndarray) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(mask, [np.round(quad * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return (mask / np.float32(255))[..., None]


def _photo(colour: tuple[int, int, int] = DARK, shadow_px: float = 0.0, seed: int = 1, k: float = 0.0) -> np.ndarray:
    """A frame on a reef; its shadow falls down and to the right, into the opening at the top and left."""
    rng = np.random.default_rng(seed)
    centre = CORNERS.mean(axis=0)
    outer = centre + (CORNERS - centre) * (1 + 2 * BAR_PX / 412)
    bars = _filled(outer) - _filled(CORNERS)
    picture = _reef(rng)
    if shadow_px:
        shade = _filled(outer + shadow_px) - _filled(CORNERS + shadow_px)
        picture *= 1 - 0.42 * cv2.GaussianBlur(np.clip(shade, 0, 1), (0, 0), 3.0)[..., None]
    picture = picture * (1 - bars) + np.array(colour, np.float32) * bars
    if k:
        picture = _bent(picture, k)
    soft = cv2.GaussianBlur(picture, (0, 0), 0.8) + rng.normal(0, 2, picture.shape)
    return np.clip(soft, 0, 255).astype(np.uint8)


def _bent(picture: np.ndarray, k: float) -> np.ndarray:
    y, x = (np.mgrid[:SIDE, :SIDE] - SIDE / 2).astype(np.float32)
    grow = 1 + k * (x**2 + y**2) / (SIDE / 2) ** 2
    return cv2.remap(picture, x * grow + SIDE / 2, y * grow + SIDE / 2, cv2.INTER_LINEAR)


def _off(found: np.ndarray, truth: np.ndarray = CORNERS) -> float:
    return float(np.hypot(*(found - truth).T).max())


@pytest.mark.parametrize(("shadow", "seed"), [(6, 1), (6, 2), (7, 5)])
def test_a_dark_bar_is_told_from_its_own_shadow(shadow: int, seed: int) -> None:
    found = refine_frame(_photo(shadow_px=shadow, seed=seed), CORNERS + 5.0, reach=13)
    assert _off(found.corners) < 1.5
    assert found.parted > 0.8
    assert found.defects == []


@pytest.mark.parametrize("start", [(-9, -6), (9, 8), (8, -9)])
def test_a_start_that_is_two_thirds_of_a_bar_off_finds_the_borders_still(start: tuple[int, int]) -> None:
    found = refine_frame(_photo(shadow_px=5), CORNERS + np.array(start), reach=13)
    assert _off(found.corners) < 1.5


@pytest.mark.parametrize("inward", [0, 2, 4])
def test_a_border_expected_where_the_shadow_ends_is_parted_at_the_bar(inward: int) -> None:
    strip = Strip.cut(_photo(shadow_px=6, seed=4), CORNERS[0], CORNERS[1], reach=40, fine=0.5)
    expected = np.full(STATIONS, float(inward))
    scores = parting(strip, expected, Samples.beside(2.0, 6.0, strip.length))
    paths = best_paths(scores, strip, 12, np.array([0.0]), 25)
    assert np.abs(paths.ends).max() <= 2


def test_bar_and_reef_are_looked_at_beyond_the_gap_and_within_the_thinnest_bar() -> None:
    samples = Samples.beside(gap=2.0, band=3.0, length=1000.0)
    assert samples.bar[0] > 5 * samples.reef[0]
    assert sum(samples.bar) < 0.03 * 1000
    assert samples.reach == max(sum(samples.bar), sum(samples.reef))
    assert Samples.beside(gap=40.0, band=60.0, length=1000.0).bar[0] == 40.0


def test_growth_and_stickers_on_a_bar_move_its_border_by_little() -> None:
    photo = _photo(shadow_px=5)
    cv2.rectangle(photo, (240, 76), (300, 100), (230, 225, 220), -1)
    for spot, radius in (((400, 104), 16), ((118, 300), 14), ((110, 512), 18)):
        patch = _reef(np.random.default_rng(7)).astype(np.uint8)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        cv2.circle(mask, spot, radius, 255, -1)
        photo[mask > 0] = patch[mask > 0]
    found = refine_frame(photo, CORNERS + 5.0, reach=12)
    assert _off(found.corners) < 2.0


def test_all_four_borders_bow_alike_in_a_bent_picture() -> None:
    k = 0.03
    photo = _photo(shadow_px=5, k=k)
    away = CORNERS - SIDE / 2
    truth = away / (1 + k * (away**2).sum(axis=1, keepdims=True) / (SIDE / 2) ** 2) + SIDE / 2
    truth = away / (1 + k * ((truth - SIDE / 2) ** 2).sum(axis=1, keepdims=True) / (SIDE / 2) ** 2) + SIDE / 2
    found = refine_frame(photo, CORNERS, reach=13)
    assert _off(found.corners, truth) < 2.0


def test_a_border_that_cannot_be_told_from_the_reef_is_a_defect() -> None:
    photo = _photo()
    noise = _reef(np.random.default_rng(3)).astype(np.uint8)
    photo[:115] = noise[:115]
    found = refine_frame(photo, CORNERS, reach=8)
    assert any("top border" in defect for defect in found.defects)


def test_parting_is_best_at_the_border_and_an_odd_station_says_no_more_than_others() -> None:
    photo = _photo(shadow_px=7)
    photo[:, 300:306] = 255
    strip = Strip.cut(photo, CORNERS[0], CORNERS[1], reach=40, fine=0.5)
    scores = parting(strip, np.zeros(STATIONS), Samples((4, 12), (4, 12)))
    assert scores.min() >= -1
    assert scores.max() <= 0
    paths = best_paths(scores, strip, 10, np.array([0.0]), 21)
    assert np.abs(paths.ends).max() <= 2


def test_a_picture_of_one_colour_has_no_borders_and_says_so_of_each() -> None:
    found = refine_frame(np.full((SIDE, SIDE, 3), 90, np.uint8), CORNERS, reach=10)
    assert found.score == 0
    assert np.isfinite(found.corners).all()
    assert len(found.defects) == 4


def test_a_high_peak_that_lies_off_gives_way_to_clear_borders() -> None:
    photo = _photo(shadow_px=5)
    maps = np.zeros((5, 64, 64), np.float32)
    start = CORNERS.copy()
    start[2] += [-12, -12]
    cells = (start + 0.5) * 64 / SIDE - 0.5
    found = _from_quad(Views.of(photo), Quad(cells, np.full(4, 0.8), 0.9, 0.8), maps)
    assert found.stray > 0.035
    assert _off(found.corners) < 1.5


def _overgrown(photo: np.ndarray, spot: np.ndarray, radius: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(mask, (round(spot[0]), round(spot[1])), radius, 255, -1)
    grown = photo.copy()
    grown[mask > 0] = _reef(np.random.default_rng(11)).astype(np.uint8)[mask > 0]
    return grown


@pytest.mark.parametrize("off", [(14, 12), (-13, 16), (22, 20)])
def test_a_corner_hidden_under_growth_is_completed_from_its_two_borders(off: tuple[int, int]) -> None:
    photo = _overgrown(_photo(shadow_px=5), CORNERS[0], 34)
    start = CORNERS.copy()
    start[0] += off
    cells = (start + 0.5) * 64 / SIDE - 0.5
    quad = Quad(cells, np.array([0.2, 0.8, 0.8, 0.8]), 0.9, 0.6)
    found = _from_quad(Views.of(photo), quad, np.zeros((5, 64, 64), np.float32))
    assert _off(found.corners) < 2.5
