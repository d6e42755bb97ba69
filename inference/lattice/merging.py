"""One place per node from three witnesses: the network's spot, the followed strings, and the lattice as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inference.lattice.fit import SEEN, Crossings
from inference.lattice.hanging import fit_hanging
from labels.lattice import LatticeTopology

# Pixels of 1920.
_NEAR_LATTICE, _NEAR_SPOT, _SPOT_NEAR_LATTICE, _FIT_SCALE = 8.0, 7.0, 18.0, 6.0
_SURE_SPOT = 0.3
# A lone spot is believed within this many times the usual distance from the fitted lattice, and always within 3 px.
_SPREADS, _SPOT_SURELY_NEAR, _ENOUGH_FOR_SPREAD = 5.0, 3.0, 20
_ENOUGH_FOR_SHADOW = 12
_FAR = 60.0
_UNIT = 1920


@dataclass(frozen=True, slots=True)
class Merged:
    """Nodes and what each rests on; arrays over the ``n`` nodes, lengths in rectified pixels.

    Attributes:
        nodes: ``(n, 2)``.
        expected: ``(n, 2)`` the lattice fitted to all that was seen.
        measured: on both strings.
        spotted: seen by the network, strings not followed well enough.
        on_string: moved onto the one string that is seen.
        outliers: strings meet there, but far from the lattice and from any spot.
        spot_gap: from node to spot; large where there is none.
        lattice_gap: from node to the fitted lattice.
        weak: evidence of the less visible string, 0..1.
        heat: height of the spot, 0 without one.
    """

    nodes: NDArray[np.float64]
    expected: NDArray[np.float64]
    measured: NDArray[np.bool_]
    spotted: NDArray[np.bool_]
    on_string: NDArray[np.bool_]
    outliers: NDArray[np.bool_]
    spot_gap: NDArray[np.float64]
    lattice_gap: NDArray[np.float64]
    weak: NDArray[np.float64]
    heat: NDArray[np.float64]

    @property
    def outside(self) -> NDArray[np.bool_]:
        """No crossing is seen; the node is a prediction."""
        return ~(self.measured | self.spotted)


def merge(
    topology: LatticeTopology,
    side: int,
    found: Crossings,
    spots: NDArray[np.float64],
    heat: NDArray[np.float64],
) -> Merged:
    """Decide for every node.

    Args:
        topology: the lattice.
        side: of the rectified picture, pixels.
        found: what the followed strings say.
        spots: ``(n, 2)`` the network's spot of each node, anything where there is none.
        heat: ``(n,)`` its height, 0 where there is none.
    """
    unit = side / _UNIT
    has = heat > 0
    both, one = found.weak >= SEEN, found.strong >= SEEN
    found = _without_shadow(found, spots, both & has, _NEAR_SPOT * unit)
    to_spot = np.where(has, np.hypot(*(found.points - spots).T), np.inf)
    agree = both & (to_spot <= _NEAR_SPOT * unit)
    seed = np.where((agree | (both & ~has))[:, None], found.points, np.where(has[:, None], spots, found.points))
    trust = np.where(agree, 1.0, np.where(has, 0.4 * heat, np.where(both, 0.3, 0.0)))
    expected = fit_hanging(topology, side, seed, trust, _FIT_SCALE * unit)
    off = np.hypot(*(found.points - expected).T)
    measured = agree | (both & ~has & (off <= _NEAR_LATTICE * unit))
    spot_off = np.hypot(*(spots - expected).T)
    spotted = ~measured & (heat >= _SURE_SPOT) & (spot_off <= _believable(off[measured], unit))
    foot = found.anchor + found.along * ((expected - found.anchor) * found.along).sum(axis=1, keepdims=True)
    near = np.hypot(*(foot - expected).T) <= _NEAR_LATTICE * unit
    on_string = ~measured & ~spotted & one & near
    nodes = expected.copy()
    for which, source in ((on_string, foot), (spotted, spots), (measured, found.points)):
        nodes[which] = source[which]
    spot_gap = np.where(has, np.hypot(*(nodes - spots).T), _FAR * unit)
    lattice_gap = np.hypot(*(nodes - expected).T)
    outliers = both & ~measured & ~spotted
    return Merged(
        nodes,
        expected,
        measured,
        spotted,
        on_string,
        outliers,
        spot_gap,
        lattice_gap,
        found.weak,
        np.where(has, heat, 0),
    )


def _believable(off: NDArray[np.float64], unit: float) -> float:
    """How far from the fitted lattice a spot without followed strings is believed, pixels.

    Where the strings are followed, they tell how closely this lattice keeps to its fit. A lone spot far beyond that is
    a shell, a loose end, or the place where growth hides one of the strings.
    """
    if len(off) < _ENOUGH_FOR_SPREAD:
        return _SPOT_NEAR_LATTICE * unit
    spread = _SPREADS * float(np.median(off))
    return float(np.clip(spread, _SPOT_SURELY_NEAR * unit, _SPOT_NEAR_LATTICE * unit))


def _without_shadow(found: Crossings, spots: NDArray[np.float64], both: NDArray[np.bool_], near: float) -> Crossings:
    """The crossings moved by what all of them are off from the network's spots.

    A followed string is precise, but its shadow draws all strings of a picture to one side; a spot is rough, but the
    network learned where strings truly cross, so the median over many spots is right.
    """
    gap = (spots - found.points)[both]
    gap = gap[np.hypot(*gap.T) <= near]
    if len(gap) < _ENOUGH_FOR_SHADOW:
        return found
    shift = np.median(gap, axis=0) * len(gap) / (len(gap) + _ENOUGH_FOR_SHADOW)
    return replace(found, points=found.points + shift, anchor=found.anchor + shift)


def uncertainty_features(merged: Merged, side: int) -> dict[str, NDArray[np.float64]]:
    """What a node's uncertainty is read from; lengths as logarithms of pixels of 1920."""
    unit = side / _UNIT
    seen = merged.measured | merged.spotted
    return {
        "spotted": merged.spotted.astype(float),
        "on_string": merged.on_string.astype(float),
        "predicted": (merged.outside & ~merged.on_string).astype(float),
        "weak": merged.weak * merged.measured,
        "heat": merged.heat * seen,
        "spot_gap": np.log(np.minimum(merged.spot_gap / unit, _FAR) + 0.3) * merged.measured,
        "lattice_gap": np.log(np.minimum(merged.lattice_gap / unit, _FAR) + 0.3) * seen,
    }
