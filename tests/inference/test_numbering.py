"""Peaks get places, places get numbers: under perspective, a bulging lens, sagging strings, gaps and false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.heatmaps import peaks
from inference.lattice.hanging import fit_hanging
from inference.lattice.numbering import number_crossings
from labels.lattice import LatticeTopology, load_topology, parse_topology
from labels.transforms import apply_homography, homography_from_points

SIDE = 1920
UNIT = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def _hung(topology: LatticeTopology, rng: np.random.Generator, tilt: float, lens: float, sag: float) -> np.ndarray:
    """Nodes as a tilted camera with a bad lens sees them over sagging strings, in pixels."""
    unit = topology.unit.copy()
    x, y = topology.unit.T
    unit[:, 1] += sag * rng.uniform(-1, 1) * np.sin(np.pi * x)
    unit[:, 0] += sag * rng.uniform(-1, 1) * np.sin(np.pi * y)
    away = unit - 0.5
    unit = 0.5 + away * (1 + lens * (away**2).sum(axis=1, keepdims=True))
    return apply_homography(homography_from_points(UNIT, UNIT + rng.uniform(-tilt, tilt, (4, 2))), unit) * (SIDE - 1)


@given(
    seed=st.integers(0, 10_000),
    lattice=st.sampled_from(["criobe-117", "grid-7x7"]),
    tilt=st.floats(0, 0.012),
    lens=st.floats(-0.06, 0.03),
    lost=st.floats(0, 0.3),
)
@settings(max_examples=25, deadline=None)
def test_every_spot_that_is_a_crossing_gets_its_own_number(
    seed: int, lattice: str, tilt: float, lens: float, lost: float
) -> None:
    rng, topology = np.random.default_rng(seed), load_topology(lattice)
    nodes = _hung(topology, rng, tilt, lens, 0.004)
    kept = np.flatnonzero(rng.random(topology.size) >= lost)
    spots = np.vstack([nodes[kept] + rng.normal(0, 1, (len(kept), 2)), rng.uniform(0, SIDE, (6, 2))])
    heights = np.concatenate([np.full(len(kept), 0.8), np.full(6, 0.4)])
    numbering = number_crossings(spots, heights, topology, SIDE)
    own = np.full(topology.size, -1)
    own[kept] = np.arange(len(kept))
    given_own = numbering.spot[kept] == own[kept]
    assert given_own.mean() > 0.97
    # A node that was not seen is where the rest of the lattice says it must be.
    assert np.hypot(*(numbering.expected - nodes).T).max() < 12


def test_a_lattice_in_a_frame_off_by_half_a_cell_is_not_numbered_one_off() -> None:
    topology = load_topology()
    nodes = topology.ideal(SIDE) + np.array([0.45, -0.4]) * SIDE / 11
    numbering = number_crossings(nodes, np.full(len(nodes), 0.9), topology, SIDE)
    assert np.array_equal(numbering.spot, np.arange(topology.size))


def test_without_any_spot_the_ideal_lattice_is_expected() -> None:
    topology = load_topology("cross")
    numbering = number_crossings(np.empty((0, 2)), np.empty(0), topology, SIDE)
    assert numbering.share == 0
    assert np.allclose(numbering.expected, topology.ideal(SIDE))


def test_a_wrong_node_does_not_bend_the_lattice() -> None:
    topology = load_topology()
    nodes = _hung(topology, np.random.default_rng(4), 0.01, -0.04, 0.003)
    seen = nodes.copy()
    seen[[7, 30, 80]] += [[60, 0], [0, -50], [40, 40]]
    fitted = fit_hanging(topology, SIDE, seen, np.ones(topology.size), 6.0)
    assert np.hypot(*(fitted - nodes).T).max() < 3


@pytest.mark.parametrize("lattice", ["name: two\nnodes: {a: [0.2, 0.5], b: [0.8, 0.5]}\nstrings: [[a, b]]\n"])
def test_the_smallest_lattice_is_moved_as_a_whole(lattice: str) -> None:
    topology = parse_topology(lattice)
    fitted = fit_hanging(topology, SIDE, topology.ideal(SIDE) + np.array([10, 4]), np.ones(2), 20.0)
    assert np.allclose(fitted - topology.ideal(SIDE), [10, 4], atol=0.5)


@given(x=st.floats(4, 35), y=st.floats(4, 35))
@settings(max_examples=40, deadline=None)
def test_a_hill_is_located_between_its_cells(x: float, y: float) -> None:
    rows, columns = np.mgrid[:40, :40]
    heat = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.2**2)).astype(np.float32)
    spots, heights = peaks(heat, 0.3)
    assert len(spots) == 1
    assert np.hypot(*(spots[0] - [x, y])) < 0.2
    assert 0.8 < heights[0] <= 1


def test_peaks_come_highest_first_and_no_more_than_asked() -> None:
    heat = np.zeros((30, 30), np.float32)
    heat[5, 5], heat[5, 20], heat[20, 10] = 0.4, 0.9, 0.6
    spots, heights = peaks(heat, 0.3, most=2)
    assert [tuple(np.round(s)) for s in spots] == [(20, 5), (10, 20)]
    assert list(heights) == pytest.approx([0.9, 0.6])
    assert len(peaks(heat, 0.95)[0]) == 0
