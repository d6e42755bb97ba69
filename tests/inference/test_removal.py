"""Lattice removal changes the strings' pixels and no others."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inference.removal import estimate_shadow, estimate_string_width, lattice_mask, remove_lattice, string_path
from labels.lattice import load_topology

SIDE = 480


def _reef(side: int = SIDE, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (side, side, 3)).astype(np.float32)
    return np.clip(110 + 260 * cv2.GaussianBlur(noise, (0, 0), 6), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("method", ["telea", "ns"])
def test_pixels_outside_the_mask_stay_bit_for_bit(method: str) -> None:
    picture, topology = _reef(), load_topology()
    mask = lattice_mask(topology.ideal(SIDE), topology, SIDE, 2.0)
    strung = picture.copy()
    strung[mask > 0] = 255
    clean = remove_lattice(strung, mask, method)
    assert np.array_equal(clean[mask == 0], strung[mask == 0])
    assert clean.dtype == np.uint8
    # Painted pixels come close to the reef that was there, far closer than the strings.
    error = np.abs(clean[mask > 0].astype(float) - picture[mask > 0]).mean()
    assert error < 0.15 * np.abs(255.0 - picture[mask > 0]).mean()


def test_the_input_is_not_changed() -> None:
    picture, topology = _reef(), load_topology()
    before = picture.copy()
    remove_lattice(picture, lattice_mask(topology.ideal(SIDE), topology, SIDE, 3.0))
    assert np.array_equal(picture, before)


def test_an_empty_mask_changes_nothing() -> None:
    picture = _reef()
    assert np.array_equal(remove_lattice(picture, np.zeros((SIDE, SIDE), np.uint8)), picture)


def test_the_mask_covers_every_string_from_frame_to_frame() -> None:
    topology = load_topology()
    nodes = topology.ideal(SIDE)
    mask = lattice_mask(nodes, topology, SIDE, 3.0)
    assert set(np.unique(mask)) == {0, 255}
    for x, y in np.round(nodes).astype(int):
        assert mask[y, x] == 255
    for share in topology.string_ends.reshape(-1, 2):
        x, y = np.round(share * (SIDE - 1)).astype(int)
        assert mask[y, x] == 255
    covered = (mask > 0).mean()
    assert 22 * 3 / SIDE * 0.8 < covered < 22 * 9 / SIDE


def test_a_wider_string_gives_a_wider_mask_that_holds_the_narrow_one() -> None:
    topology = load_topology("grid-7x7")
    nodes = topology.ideal(SIDE)
    narrow, wide = (lattice_mask(nodes, topology, SIDE, w) for w in (2.0, 6.0))
    assert (wide[narrow > 0] == 255).all()
    assert (wide > 0).sum() > 1.4 * (narrow > 0).sum()


def test_a_piece_of_string_between_two_unseen_nodes_is_left_alone() -> None:
    topology = load_topology("grid-7x7")
    nodes = topology.ideal(SIDE)
    hidden = np.zeros(topology.size, bool)
    hidden[[0, 1]] = True
    mask = lattice_mask(nodes, topology, SIDE, 2.0, hidden)
    x, y = np.round((nodes[0] + nodes[1]) / 2).astype(int)
    assert mask[y, x] == 0
    x, y = np.round((nodes[1] + nodes[2]) / 2).astype(int)
    assert mask[y, x] == 255


def test_strings_of_a_cross_end_at_its_nodes() -> None:
    topology = load_topology("cross")
    path, gone = string_path(topology.ideal(SIDE), topology, SIDE, 0)
    assert len(path) == len(topology.strings[0]) == len(gone)


@pytest.mark.parametrize("width", [3, 5, 8])
def test_the_string_width_is_measured(width: int) -> None:
    topology = load_topology()
    side = 1200
    picture = _reef(side)
    for string in range(len(topology.strings)):
        path, _ = string_path(topology.ideal(side), topology, side, string)
        (x0, y0), (x1, y1) = np.round(path[0]).astype(int), np.round(path[-1]).astype(int)
        if y0 == y1:
            picture[y0 - width // 2 : y0 - width // 2 + width] = 240
        else:
            picture[:, x0 - width // 2 : x0 - width // 2 + width] = 240
        assert x0 <= x1
    assert abs(estimate_string_width(picture, topology.ideal(side), topology) - width) < 0.8


@pytest.mark.parametrize(("dx", "dy"), [(8, 11), (-9, 7), (0, 10), (0, 0)])
def test_the_fall_of_the_shadow_is_measured(dx: int, dy: int) -> None:
    topology, side, width = load_topology(), 1200, 4.0
    picture = _reef(side).astype(np.float32)
    strings = lattice_mask(topology.ideal(side), topology, side, width - 3) > 0
    shadow = np.roll(strings, (dy, dx), (0, 1))
    if dx or dy:
        picture[shadow] *= 0.6
    picture[strings] = 240
    found = estimate_shadow(picture.astype(np.uint8), topology.ideal(side), topology, width)
    assert np.abs(found - [dx, dy]).max() < 2.5


def test_the_mask_reaches_over_the_shadow_without_a_gap() -> None:
    topology = load_topology("grid-7x7")
    nodes = topology.ideal(SIDE)
    mask = lattice_mask(nodes, topology, SIDE, 2.0, shadow_px=(9.0, 12.0))
    x, y = np.round((nodes[0] + nodes[1]) / 2).astype(int)
    assert (mask[y - 1 : y + 13, x] == 255).all()
    assert mask[y + 20, x] == 0
    assert mask[y - 6, x] == 0


def test_without_strings_the_width_falls_back_to_a_thin_line() -> None:
    topology = load_topology()
    assert estimate_string_width(np.full((960, 960, 3), 90, np.uint8), topology.ideal(960), topology) == 960 / 2000


def test_wrong_arguments_are_named() -> None:
    topology = load_topology()
    with pytest.raises(ValueError, match="no removal method 'magic': use one of telea, ns"):
        remove_lattice(_reef(), np.zeros((SIDE, SIDE), np.uint8), "magic")
    with pytest.raises(ValueError, match="same size"):
        remove_lattice(_reef(), np.zeros((10, 10), np.uint8))
    with pytest.raises(ValueError, match="117 finite nodes"):
        lattice_mask(np.zeros((5, 2)), topology, SIDE, 3.0)
