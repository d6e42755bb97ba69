"""The corner finder on real photos, generated scenes, and pictures without a frame."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.corners import OPENCV, find_corners

TRUTH = json.loads((Path(__file__).parent / "moorea_corners.json").read_text(encoding="utf-8"))["corners"]


def _read(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize("name", sorted(TRUTH))
def test_all_four_corners_of_each_moorea_photo_are_found(shared: Path, name: str) -> None:
    path = next((shared / "data" / "reef").rglob(name))
    photo = _read(path)
    finding = find_corners(photo)
    assert finding.points is not None
    assert finding.defects == []
    assert finding.score >= 0.8
    error = np.hypot(*(finding.points - np.array(TRUTH[name])).T) / photo.shape[1]
    assert error.mean() < 0.004
    assert error.max() < 0.01


def _noise(shape: tuple[int, int], blur: float = 0) -> np.ndarray:
    picture = np.random.default_rng(5).normal(0, 1, (*shape, 3)).astype(np.float32)
    if blur:
        picture = cv2.GaussianBlur(picture, (0, 0), blur) * blur * 3
    return np.clip(120 + 45 * picture, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.zeros((1, 1, 3), np.uint8), "too small"),
        (np.zeros((40, 3000, 3), np.uint8), "too small"),
        (np.zeros((900, 1200, 3), np.uint8), "uniform"),
        (np.full((900, 1200, 3), 255, np.uint8), "uniform"),
        (_noise((700, 900)), "no frame"),
        (_noise((700, 900), 8), "no frame"),
    ],
    ids=["1x1", "sliver", "black", "white", "noise", "reef-like blobs"],
)
def test_a_picture_without_a_frame_gives_no_corners_and_a_reason(picture: np.ndarray, words: str) -> None:
    finding = find_corners(picture)
    assert finding.points is None
    assert finding.score == 0
    assert any(words in defect for defect in finding.defects)
    assert finding.model == OPENCV


def _drawn_frame(size: int, quad: np.ndarray, bar: tuple[int, int, int], around: int) -> np.ndarray:
    """A frame on smooth reef-like blobs: the opening is the exact quadrilateral ``quad``."""
    reef = cv2.resize(_noise((400, 400), 3), (size, size), interpolation=cv2.INTER_CUBIC)
    centre = quad.mean(axis=0)
    outer = centre + (quad - centre) * (1 + around / 100)
    picture = reef.copy()
    cv2.fillConvexPoly(picture, np.round(outer * 256).astype(np.int32), bar, cv2.LINE_AA, 8)
    hole = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(hole, np.round(quad * 256).astype(np.int32), 255, cv2.LINE_AA, 8)
    alpha = hole[:, :, None] / np.float32(255)
    return (picture * (1 - alpha) + reef * alpha).astype(np.uint8)


QUAD = np.array([[0.21, 0.17], [0.80, 0.20], [0.83, 0.82], [0.16, 0.79]])


@pytest.mark.parametrize("size", [800, 2000, 6000])
def test_corners_are_found_at_every_usual_size(size: int) -> None:
    finding = find_corners(_drawn_frame(size, QUAD * size, (30, 32, 36), 14))
    assert finding.points is not None
    assert np.hypot(*(finding.points - QUAD * size).T).max() < 0.0015 * size


@pytest.mark.parametrize("bar", [(240, 240, 240), (30, 30, 30), (230, 200, 40), (60, 90, 200)])
def test_the_colour_of_the_frame_does_not_matter(bar: tuple[int, int, int]) -> None:
    finding = find_corners(_drawn_frame(1000, QUAD * 1000, bar, 14))
    assert finding.points is not None
    assert np.hypot(*(finding.points - QUAD * 1000).T).max() < 2.0
    assert finding.defects == []


def test_the_same_photo_gives_the_same_corners_twice() -> None:
    photo = _drawn_frame(900, QUAD * 900, (30, 30, 30), 12)
    first, second = find_corners(photo), find_corners(photo)
    assert first.points is not None
    assert second.points is not None
    assert np.array_equal(first.points, second.points)
    assert first.score == second.score
