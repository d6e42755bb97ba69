"""A survey tape is found where there is one, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.rectify import rectify
from inference.removal import RemovalPlan, clean_picture, find_tape, string_mask, tape_mask
from labels.lattice import load_topology

SIDE = 768
GRID = load_topology("grid-7x7")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "reef"
needs_photos = pytest.mark.skipif(not SHARED.is_dir(), reason="the Moorea photos are not here")


def reef(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (SIDE, SIDE, 3)).astype(np.float32)
    coarse = cv2.resize(cv2.resize(noise, (24, 24), interpolation=cv2.INTER_AREA), (SIDE, SIDE), interpolation=2)
    return np.clip(105 + 900 * coarse + 120 * cv2.GaussianBlur(noise, (0, 0), 3), 0, 215).astype(np.uint8)


def with_tape(picture: np.ndarray, start, stop, width: int, colour, bow: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """The picture with a printed tape, and where it lies."""
    share = np.linspace(-0.1, 1.1, 80)[:, None]
    path = np.array(start) * (1 - share) + np.array(stop) * share
    path[:, 1] += bow * np.sin(np.pi * share[:, 0])
    truth = np.zeros((SIDE, SIDE), np.uint8)
    fixed = [np.round(path * 16).astype(np.int32)]
    cv2.polylines(truth, fixed, False, 255, width, cv2.LINE_AA, 4)
    alpha = truth[..., None].astype(np.float32) / 255
    taped = picture * (1 - alpha) + np.array(colour) * alpha
    taped = np.ascontiguousarray(taped.astype(np.uint8))
    for number, at in enumerate(path[::7]):
        cv2.putText(
            taped, str(number), np.round(at).astype(int).tolist(), cv2.FONT_HERSHEY_SIMPLEX, width / 60, (9, 9, 9)
        )
    return taped, truth > 127


@pytest.mark.parametrize(
    ("start", "stop", "width", "colour", "bow"),
    [
        ((0, 300), (767, 380), 22, (238, 236, 228), 0),
        ((0, 500), (767, 350), 15, (232, 206, 70), 0),
        ((420, 0), (360, 767), 30, (225, 240, 238), 0),
        ((0, 240), (767, 260), 20, (238, 236, 228), 9),
    ],
    ids=["level", "yellow and steep", "upright", "bowed"],
)
def test_a_tape_is_found_and_covered(start, stop, width, colour, bow) -> None:
    picture, truth = with_tape(reef(), start, stop, width, colour, bow)
    tape = find_tape(picture)
    assert tape is not None
    assert tape.width_px == pytest.approx(width, rel=0.2, abs=2)
    covered = tape_mask(tape, SIDE).alpha > 0
    assert covered[truth].mean() > 0.98
    assert (covered & ~truth).sum() < 0.5 * truth.sum()


@pytest.mark.parametrize("seed", range(4))
def test_reef_without_a_tape_has_none(seed) -> None:
    assert find_tape(reef(seed)) is None


def test_strings_are_no_tape() -> None:
    picture = reef()
    mask = string_mask(GRID.ideal(SIDE), GRID, SIDE, 7)
    picture[mask.core] = (240, 235, 210)
    assert find_tape(picture, mask.hole) is None


@pytest.mark.parametrize("size", [(1, 1), (150, 150), (300, 200)])
def test_pictures_too_small_to_hold_a_tape_have_none(size) -> None:
    assert find_tape(np.full((*size, 3), 200, np.uint8)) is None


@pytest.mark.parametrize("kind", ["paint", "exclude"])
def test_a_tape_stays_out_of_cover_painted_or_not(kind) -> None:
    picture, truth = with_tape(reef(), (0, 300), (767, 380), 22, (238, 236, 228))
    made = clean_picture(picture, GRID.ideal(SIDE), GRID, RemovalPlan(string_width_px=2, tape=kind))
    strings = string_mask(GRID.ideal(SIDE), GRID, SIDE, 2, shadow_px=(20, 20)).alpha > 0
    assert made.tape is not None
    assert (made.mask[truth] == 255).mean() > 0.98
    changed = (made.image != picture).any(axis=2)
    assert (changed[truth & ~strings].mean() > 0.9) == (kind == "paint")
    assert not changed[made.mask == 0].any()


def test_a_tape_the_survey_speaks_of_but_nobody_finds_is_a_defect() -> None:
    nodes = GRID.ideal(SIDE)
    made = clean_picture(reef(), nodes, GRID, RemovalPlan(string_width_px=2, tape="paint"))
    assert made.tape is None
    assert "no survey tape was found" in made.defects
    without = clean_picture(reef(), nodes, GRID, RemovalPlan(string_width_px=2))
    assert without.defects == [defect for defect in made.defects if "tape" not in defect]


@needs_photos
def test_tapes_of_real_photos_are_found() -> None:
    corners = json.loads((Path(__file__).parent / "moorea_corners.json").read_text())["corners"]
    # By eye: where the tape crosses the left and right (or top and bottom) edge of the straightened picture.
    seen = {
        "pole1-2_qu3": ((0, 0.61), (1, 0.53)),
        "pole1-2_qu5": ((0, 0.36), (1, 0.31)),
        "pole1-2_qu7": ((0.52, 0), (0.49, 1)),
        "pole2-3_qu3": ((0, 0.47), (1, 0.42)),
        "pole2-3_qu8": None,
    }
    for name, ends in seen.items():
        path = next(p for p in SHARED.rglob(f"*{name}_*.jpg"))
        photo = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        tape = find_tape(rectify(photo, np.array(corners[path.name]), SIDE))
        assert (tape is None) == (ends is None), name
        if tape is not None:
            assert np.abs(tape.path[[0, -1]] / SIDE - ends).max() < 0.03, name
