"""The lattice finder on strings painted with known nodes, on Moorea's real strings, and on pictures without strings."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.lattice import OPENCV, find_lattice
from inference.rectify import rectify
from inference.removal import lattice_mask, remove_lattice, string_path
from labels.lattice import LatticeTopology, load_topology, parse_topology

SIDE = 1440
MOOREA = json.loads((Path(__file__).parent / "moorea_corners.json").read_text(encoding="utf-8"))["corners"]
# The strings on Moorea's frame run from corner to corner.
DIAGONALS = """
name: diagonals
nodes: {"1": [0, 0], "2": [1, 0], "3": [0.5, 0.5], "4": [1, 1], "5": [0, 1]}
strings: [["1", "3", "4"], ["2", "3", "5"]]
"""


def _reef(side: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = cv2.GaussianBlur(rng.normal(0, 1, (side, side, 3)).astype(np.float32), (0, 0), 14)
    fine = cv2.GaussianBlur(rng.normal(0, 1, (side, side, 1)).astype(np.float32), (0, 0), 2)
    return np.clip(115 + 900 * coarse + 60 * fine[..., None], 0, 255)


def _strung(
    topology: LatticeTopology, seed: int, colour: tuple[int, int, int] = (236, 234, 224), shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """A reef with sagging, slightly uneven strings, corners off by up to ``shift`` px; and the true nodes."""
    rng = np.random.default_rng(seed)
    u = topology.unit
    nodes = topology.ideal(SIDE) + rng.normal(0, 0.6, (topology.size, 2))
    nodes[:, 1] += 6 * 4 * u[:, 0] * (1 - u[:, 0])
    square = np.array([[0, 0], [SIDE - 1, 0], [SIDE - 1, SIDE - 1], [0, SIDE - 1]], np.float32)
    moved = square + rng.uniform(-shift, shift, (4, 2)).astype(np.float32)
    nodes = cv2.perspectiveTransform(nodes[None], cv2.getPerspectiveTransform(square, moved).astype(float))[0]
    ink = np.zeros((SIDE, SIDE), np.uint8)
    for string in range(len(topology.strings)):
        path, _ = string_path(nodes, topology, SIDE, string)
        cv2.polylines(ink, [np.round(path * 16).astype(np.int32)], False, 255, 4, cv2.LINE_AA, 4)
    alpha = cv2.GaussianBlur(ink, (0, 0), 0.9)[:, :, None] / 255.0
    return np.clip(_reef(SIDE, seed) * (1 - alpha) + np.array(colour) * alpha, 0, 255).astype(np.uint8), nodes


def _scale() -> float:
    return 1920 / SIDE


@pytest.mark.parametrize("colour", [(236, 234, 224), (225, 80, 60), (40, 40, 46)], ids=["white", "red", "dark"])
def test_all_117_nodes_are_found_to_a_pixel(colour: tuple[int, int, int]) -> None:
    topology = load_topology()
    picture, nodes = _strung(topology, 3, colour)
    finding = find_lattice(picture, topology)
    error = np.hypot(*(finding.nodes - nodes).T) * _scale()
    assert error.mean() < 1.0
    assert error.max() < 4.0
    assert finding.defects == []
    assert finding.score >= 0.8
    assert finding.model == OPENCV
    assert finding.outside.mean() < 0.05


@pytest.mark.parametrize("cells", [0.1, 0.2, 0.32])
def test_corners_off_by_up_to_a_third_of_a_cell_do_not_slip_the_lattice(cells: float) -> None:
    topology = load_topology()
    picture, nodes = _strung(topology, 7, shift=cells * SIDE / 11)
    finding = find_lattice(picture, topology)
    assert (np.hypot(*(finding.nodes - nodes).T) * _scale()).max() < 5.0


def test_a_seven_by_seven_lattice_is_found_too() -> None:
    topology = load_topology("grid-7x7")
    picture, nodes = _strung(topology, 5, shift=8)
    finding = find_lattice(picture, topology)
    assert (np.hypot(*(finding.nodes - nodes).T) * _scale()).mean() < 1.0
    assert finding.nodes.shape == (49, 2)


def test_two_single_strings_are_followed() -> None:
    topology = load_topology("cross")
    picture, nodes = _strung(topology, 5)
    finding = find_lattice(picture, topology)
    assert np.hypot(*(finding.nodes - nodes)[2]) * _scale() < 2.5


@pytest.mark.parametrize("pale", [15, 26])
def test_a_pale_string_on_sand_is_not_mistaken_for_its_darker_shadow(pale: int) -> None:
    topology, side = load_topology(), 960
    grain = cv2.GaussianBlur(np.random.default_rng(2).normal(0, 1, (side, side, 3)).astype(np.float32), (0, 0), 2)
    sand = 170 + 32 * grain
    strings = lattice_mask(topology.ideal(side), topology, side, 1.0) > 0
    picture = sand.copy()
    picture[np.roll(strings, (6, 5), (0, 1))] -= 45
    picture[strings] = sand[strings] + pale
    finding = find_lattice(cv2.GaussianBlur(np.clip(picture, 0, 255), (0, 0), 0.8).astype(np.uint8), topology)
    # The shadow lies 7.8 px away.
    assert np.hypot(*(finding.nodes - topology.ideal(side)).T).max() < 3


def test_the_width_of_the_strings_is_measured() -> None:
    picture, _ = _strung(load_topology(), 3)
    assert 3.5 < find_lattice(picture, load_topology()).string_width_px < 7.0


def test_nodes_under_a_coral_head_are_filled_in_and_marked() -> None:
    topology = load_topology()
    picture, nodes = _strung(topology, 9)
    bare = np.clip(_reef(SIDE, 10), 0, 255).astype(np.uint8)
    centre, radius = np.array([0.5 * SIDE, 0.46 * SIDE]), 0.17 * SIDE
    head = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(head, tuple(int(v) for v in centre), int(radius), 1, -1)
    picture[head > 0] = bare[head > 0]
    finding = find_lattice(picture, topology)
    distance = np.hypot(*(nodes - centre).T)
    deep, clear = distance < radius - 0.6 * SIDE / 11, distance > radius + 0.5 * SIDE / 11
    error = np.hypot(*(finding.nodes - nodes).T) * _scale()
    assert deep.sum() >= 4
    assert finding.outside[deep].mean() >= 0.5
    assert not finding.outside[clear].any()
    assert error[deep].max() < 12
    assert error[clear].max() < 4


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((960, 960, 3), np.uint8),
        np.full((960, 960, 3), 255, np.uint8),
        np.clip(_reef(960, 1), 0, 255).astype(np.uint8),
    ],
    ids=["1x1", "64x64", "black", "white", "reef without strings"],
)
def test_without_strings_the_finding_is_complete_but_doubtful(picture: np.ndarray) -> None:
    topology = load_topology()
    finding = find_lattice(picture, topology)
    assert finding.nodes.shape == (117, 2)
    assert np.isfinite(finding.nodes).all()
    assert finding.score < 0.4
    assert finding.defects


def test_a_picture_that_is_not_square_is_refused() -> None:
    with pytest.raises(ValueError, match="square"):
        find_lattice(np.zeros((100, 120, 3), np.uint8), load_topology())


@pytest.mark.parametrize("place", ["pole1-2_qu4", "pole2-3_qu2"])
def test_the_red_strings_of_a_real_moorea_photo_are_found_and_removed(shared: Path, place: str) -> None:
    topology = parse_topology(DIAGONALS)
    name = f"mcr_lter1_fringingreef_{place}_20080415.jpg"
    photo = cv2.cvtColor(cv2.imread(str(next((shared / "data" / "reef").rglob(name)))), cv2.COLOR_BGR2RGB)
    square = rectify(photo, MOOREA[name], 960)
    finding = find_lattice(square, topology)
    # The strings leave the knots at the corners and cross near the middle.
    assert np.hypot(*(finding.nodes - topology.ideal(960)).T).max() < 14
    mask = lattice_mask(finding.nodes, topology, 960, finding.string_width_px, finding.outside)
    clean = remove_lattice(square, mask)

    def redness(picture: np.ndarray) -> float:
        inner = picture[120:-120, 120:-120].astype(int)
        return float(((inner[..., 0] - inner[..., 1] > 60) & (inner[..., 0] - inner[..., 2] > 60)).mean())

    assert redness(clean) < 0.15 * redness(square)
    assert np.array_equal(clean[mask == 0], square[mask == 0])
