"""Self-checks name what is wrong with corners and lattice nodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.selfchecks import check_corners, check_lattice, pitch_px
from labels.lattice import load_topology

SQUARE = np.array([[100.0, 80], [900, 80], [900, 880], [100, 880]])


def _turned(points: np.ndarray, degrees: float) -> np.ndarray:
    a = np.radians(degrees)
    centre = points.mean(axis=0)
    return (points - centre) @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) + centre


@st.composite
def frames(draw: st.DrawFn) -> np.ndarray:
    """Squares turned by up to 15 degrees with corners moved by up to 60 of 800 px."""
    moved = [[draw(st.floats(-60, 60)) for _ in range(2)] for _ in range(4)]
    return _turned(SQUARE, draw(st.floats(-15, 15))) * 0.8 + 100 + np.array(moved)


@given(frames())
def test_a_tilted_frame_in_the_right_order_has_no_defect(points: np.ndarray) -> None:
    assert check_corners(points, 1000, 1000) == []


@given(frames(), st.permutations(range(4)))
def test_any_other_order_of_the_corners_is_named_as_a_defect(points: np.ndarray, order: list[int]) -> None:
    if order == sorted(order):
        return
    defects = check_corners(points[order], 1000, 1000)
    assert len(defects) == 1
    assert "corner" in defects[0]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_corners_numbered_from_another_corner_say_so(turns: int) -> None:
    assert "1 must be the top left" in check_corners(np.roll(SQUARE, turns, axis=0), 1000, 1000)[0]


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (None, "no corners"),
        (np.zeros((3, 2)), "expected four finite corners"),
        (np.full((4, 2), np.nan), "expected four finite corners"),
        (SQUARE[::-1], "anticlockwise"),
        (SQUARE[[0, 2, 1, 3]], "not form a convex"),
        (np.zeros((4, 2)), "not form a convex"),
        (SQUARE + np.array([300, 0]), "outside the picture"),
        (SQUARE * 0.2, "of the picture, under"),
        (SQUARE * [1, 0.4], "times as wide as high"),
        (np.array([[400.0, 80], [600, 80], [900, 880], [100, 880]]), "top and bottom sides differ"),
    ],
)
def test_each_fault_of_a_frame_is_named(points: np.ndarray | None, words: str) -> None:
    assert any(words in defect for defect in check_corners(points, 1000, 1000))


@pytest.mark.parametrize("name", ["criobe-117", "grid-7x7", "cross"])
def test_an_ideal_lattice_has_no_defect(name: str) -> None:
    topology = load_topology(name)
    nodes = topology.ideal(1920)
    assert check_lattice(nodes, topology, 1920, np.zeros(topology.size, bool), np.zeros(topology.size)) == []


@given(st.integers(0, 116), st.integers(0, 116))
def test_two_swapped_nodes_are_named(first: int, second: int) -> None:
    topology = load_topology()
    nodes = topology.ideal(1920)
    nodes[[first, second]] = nodes[[second, first]]
    defects = check_lattice(nodes, topology, 1920)
    assert bool(defects) == (first != second)


def test_a_lattice_slipped_by_a_cell_is_named() -> None:
    topology = load_topology()
    nodes = topology.ideal(1920) + np.array([pitch_px(topology, 1920), 0])
    assert any("half a cell" in defect for defect in check_lattice(nodes, topology, 1920))


def test_missing_nodes_and_large_residuals_are_named() -> None:
    topology = load_topology()
    nodes = topology.ideal(1920)
    many = np.arange(topology.size) < 40
    assert "no string was seen at 34%" in check_lattice(nodes, topology, 1920, outside=many)[0]
    far = np.where(np.arange(topology.size) == 5, 30.0, 0.0)
    assert "node 6 over 12 px" in check_lattice(nodes, topology, 1920, residual_px=far)[0]
    assert "expected 117 finite nodes" in check_lattice(nodes[:5], topology, 1920)[0]
