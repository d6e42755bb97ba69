"""How a lattice hangs in its frame: a smooth displacement of all strings, and each string's own bow.

The smooth part, a cubic in the frame's coordinates, takes up corners that are a little off, what is left of
perspective, current, and the radial term of the lens (a cubic too). A string tied at both ends bows as a sine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labels.lattice import LatticeTopology

# Nodes needed for a smooth part of each degree.
_ENOUGH = ((40, 3), (18, 2), (6, 1), (0, 0))
_ENOUGH_FOR_BOWS = 24
# Usual sizes as shares of the side, for the ridge: noise of a crossing, bow of a string, smooth terms.
_NOISE, _BOW, _SMOOTH = 0.001, 0.004, 0.1
_ROUNDS = 6


def fit_hanging(
    topology: LatticeTopology,
    side: int,
    points: NDArray[np.float64],
    weight: NDArray[np.float64],
    scale_px: float,
) -> NDArray[np.float64]:
    """Where all nodes should be, from some that were seen.

    Args:
        topology: the lattice.
        side: of the rectified picture, pixels.
        points: ``(n, 2)`` pixels; those of weight 0 are ignored.
        weight: ``(n,)`` 0..1, trust in each point.
        scale_px: points this far off count a quarter (Geman-McClure weights, iteratively reweighted least squares).

    Returns:
        ``(n, 2)`` pixels.
    """
    ideal = topology.ideal(side)
    given = np.where(weight[:, None] > 0, points, ideal)
    design, price = _design(topology, int((weight > 0).sum()))
    away = ((given - ideal) / side).T.ravel()
    trust = np.asarray(weight, np.float64)
    fitted, ridge = ideal, np.diag(price**2)
    for _ in range(_ROUNDS):
        # Normal equations: with the ridge they are well conditioned, and ten times as fast as least squares.
        weighed = design * np.concatenate([trust, trust])[:, None]
        solved = np.linalg.solve(weighed.T @ design + ridge, weighed.T @ away)
        fitted = ideal + (design @ solved).reshape(2, -1).T * side
        gap = np.hypot(*(given - fitted).T)
        trust = weight / (1 + (gap / scale_px) ** 2) ** 2
    return fitted


def _design(topology: LatticeTopology, seen: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns for x displacements above those for y, ``(2n, k)``, and the ridge's price of each column."""
    degree = next(degree for least, degree in _ENOUGH if seen >= least)
    x, y = (2 * topology.unit - 1).T
    smooth = np.column_stack([x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)])
    none = np.zeros_like(smooth)
    columns = [np.vstack([smooth, none]), np.vstack([none, smooth])]
    price = [np.full(2 * smooth.shape[1], _NOISE / _SMOOTH)]
    if seen >= _ENOUGH_FOR_BOWS:
        bows = np.zeros((2, topology.size, len(topology.strings)))
        for number, (ends, string) in enumerate(zip(topology.string_ends, topology.strings, strict=True)):
            way = ends[1] - ends[0]
            length = max(float(np.hypot(*way)), 1e-9)
            along = (topology.unit[list(string)] - ends[0]) @ way / length**2
            bow = np.sin(np.pi * np.clip(along, 0, 1))
            bows[0, list(string), number] = bow * -way[1] / length
            bows[1, list(string), number] = bow * way[0] / length
        columns.append(bows.reshape(2 * topology.size, -1))
        price.append(np.full(len(topology.strings), _NOISE / _BOW))
    return np.hstack(columns), np.concatenate(price)
