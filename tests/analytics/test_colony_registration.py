"""Two pictures of one ground, laid over each other."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.colonies import View, register
from analytics.colonies.registration import CONFIDENT, Method
from labels.transforms import apply_homography

SIDE, FRAME_CM = 400, 100.0


def ground(seed, side=SIDE):
    """Rock and rubble of several sizes, larger than any frame, as uint8 RGB."""
    rng = np.random.default_rng(seed)
    forms = np.zeros((side + 200, side + 200), np.float32)
    for cell in (60, 24, 10, 5):
        small = rng.standard_normal(((side + 200) // cell + 2,) * 2).astype(np.float32)
        forms += cv2.resize(small, forms.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.cvtColor(np.clip(forms * 22 + 120, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)


def seen(earth, matrix, side=SIDE, grain=0, light=1.0):
    """What a frame shows: ``matrix`` leads from the ground under the frame's marks to the picture, in centimetres."""
    pixels = np.diag([side / FRAME_CM, side / FRAME_CM, 1.0])
    middle = np.array([[1, 0, -100], [0, 1, -100], [0, 0, 1.0]])
    to_picture = pixels @ matrix @ np.diag([FRAME_CM / SIDE, FRAME_CM / SIDE, 1.0]) @ middle
    picture = cv2.warpPerspective(earth, to_picture, (side, side), flags=cv2.INTER_AREA).astype(float)
    noise = np.random.default_rng(grain).normal(0, 6, picture.shape)
    return View(np.clip(picture * light + noise, 0, 255).astype(np.uint8), side, side, FRAME_CM / side)


def moved(dx=0.0, dy=0.0, degrees=0.0, scale=1.0):
    """A similarity around the middle of the frame, in centimetres."""
    c, s = scale * np.cos(np.deg2rad(degrees)), scale * np.sin(np.deg2rad(degrees))
    about = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = (50 + dx, 50 + dy), (-50, -50)
    return there @ about @ back


def worst_cm(registration, truth):
    places = np.stack(np.meshgrid(np.linspace(10, 90, 5), np.linspace(10, 90, 5)), -1).reshape(-1, 2)
    return np.hypot(*(apply_homography(registration.matrix, places) - apply_homography(truth, places)).T).max()


@settings(max_examples=4)
@given(
    st.integers(0, 2**16),
    st.floats(-6, 6),
    st.floats(-6, 6),
    st.floats(-3, 3),
    st.floats(0.97, 1.03),
)
def test_a_small_similarity_is_found_again(seed, dx, dy, degrees, scale):
    earth, truth = ground(seed), moved(dx, dy, degrees, scale)
    found = register(seen(earth, np.eye(3), grain=1), seen(earth, truth, grain=2, light=0.8))
    assert found.found
    assert worst_cm(found, truth) < 0.3
    assert found.error_cm < 0.2
    assert found.shift_cm == pytest.approx(np.hypot(dx, dy), abs=0.3)


def test_years_of_different_pixel_sizes_are_laid_over_each_other_in_centimetres():
    earth, truth = ground(3), moved(2, -1)
    found = register(seen(earth, np.eye(3)), seen(earth, truth, side=300))
    assert found.found
    assert worst_cm(found, truth) < 0.4


def test_other_ground_is_not_recognised_and_the_reason_says_so():
    found = register(seen(ground(1), np.eye(3)), seen(ground(2), np.eye(3)))
    assert not found.found
    assert found.method == Method.NONE
    assert found.confidence < CONFIDENT
    assert "ground" in found.reason
    assert (found.matrix == np.eye(3)).all()


def test_bare_sand_says_nothing():
    sand = np.full((SIDE + 200, SIDE + 200, 3), 170, np.uint8)
    assert not register(seen(sand, np.eye(3), grain=1), seen(sand, np.eye(3), grain=2)).found


def test_removed_strings_that_lie_at_the_same_place_each_year_hold_nothing_back():
    earth, truth = ground(5), moved(2.5, 1.5)
    views = []
    for matrix, grain in ((np.eye(3), 1), (truth, 2)):
        view = seen(earth, matrix, grain=grain)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        for at in range(20, SIDE, 40):
            view.picture[at : at + 4] = view.picture[:, at : at + 4] = (10, 250, 10)
            mask[at - 1 : at + 5] = mask[:, at - 1 : at + 5] = 255
        views.append(View(view.picture, SIDE, SIDE, view.cm_per_px, mask))
    found = register(*views)
    assert found.found
    assert worst_cm(found, truth) < 0.5


def test_the_same_pictures_are_registered_the_same_way_twice():
    earth = ground(8)
    one, two = seen(earth, np.eye(3), grain=1), seen(earth, moved(1, 1), grain=2)
    assert (register(one, two).matrix == register(one, two).matrix).all()
