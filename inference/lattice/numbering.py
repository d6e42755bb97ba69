"""Which crossing is which: unnumbered spots assigned to the lattice's nodes, in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from inference.lattice.hanging import fit_hanging
from inference.selfchecks import pitch_px
from labels.lattice import LatticeTopology

# How far a spot may lie from its node's expected place, in cells, round by round.
_GATES = (0.45, 0.4, 0.3, 0.22)
_POOR_SHARE = 0.93
_MOST_SPOTS = 3


@dataclass(frozen=True, slots=True)
class Numbering:
    """Spots as nodes.

    Attributes:
        spot: ``(n,)`` index of each node's spot, -1 where there is none.
        expected: ``(n, 2)`` pixels, the lattice fitted to the numbered spots.
        share: of the nodes that got a spot.
    """

    spot: NDArray[np.int64]
    expected: NDArray[np.float64]
    share: float


def number_crossings(
    spots: NDArray[np.float64], heights: NDArray[np.float64], topology: LatticeTopology, side: int
) -> Numbering:
    """Give spots ``(m, 2)`` (rectified pixels, the surest first) their numbers.

    Each round assigns spots to expected nodes one to one with the least sum of distances (Hungarian method) and fits
    the lattice to them. If few fit, the lattice is tried from places half a cell away as well: corners may be off.
    """
    spots, heights = spots[: _MOST_SPOTS * topology.size], heights[: _MOST_SPOTS * topology.size]
    best = _numbered(spots, heights, topology, side, np.zeros(2))
    if best.share < _POOR_SHARE and topology.size >= 9:
        half = 0.4 * pitch_px(topology, side)
        for dx in (-half, 0.0, half):
            for dy in (-half, 0.0, half):
                other = _numbered(spots, heights, topology, side, np.array([dx, dy]))
                if other.share > best.share + 0.03:
                    best = other
    return best


def _numbered(
    spots: NDArray[np.float64],
    heights: NDArray[np.float64],
    topology: LatticeTopology,
    side: int,
    start: NDArray[np.float64],
) -> Numbering:
    pitch = pitch_px(topology, side)
    expected = topology.ideal(side) + start
    spot = np.full(topology.size, -1)
    for gate in _GATES:
        spot = _assigned(expected, spots, gate * pitch)
        has = spot >= 0
        if not has.any():
            break
        points = np.where(has[:, None], spots[spot], 0.0)
        expected = fit_hanging(topology, side, points, np.where(has, heights[spot], 0.0), 0.35 * gate * pitch)
    return Numbering(spot, expected, float((spot >= 0).mean()))


def _assigned(expected: NDArray[np.float64], spots: NDArray[np.float64], gate: float) -> NDArray[np.int64]:
    spot = np.full(len(expected), -1)
    if not len(spots):
        return spot
    gap = np.hypot(*(expected[:, None] - spots[None]).transpose(2, 0, 1))
    # What lies beyond the gate costs the same however far, so that it never pushes a good pair apart.
    rows, columns = linear_sum_assignment(np.minimum(gap, gate) ** 2)
    near = gap[rows, columns] < gate
    spot[rows[near]] = columns[near]
    return spot
