"""Where followed strings, spots and the lattice as a whole disagree about a node."""

from __future__ import annotations

import numpy as np
import pytest

from inference.lattice.fit import Crossings
from inference.lattice.merging import Merged, merge
from labels.lattice import load_topology

SIDE = 1920
HIDDEN = 58


def _merged(noise_px: float, spot_off_px: float, followed: bool = False) -> tuple[Merged, np.ndarray]:
    """All crossings followed and spotted, but one whose strings growth hides and whose spot lies off."""
    topology, rng = load_topology(), np.random.default_rng(7)
    truth = topology.ideal(SIDE)
    n = topology.size
    seen = truth + rng.normal(0, noise_px, (n, 2))
    evidence = np.full(n, 0.9)
    spots = seen.copy()
    spots[HIDDEN] = truth[HIDDEN] + [0.8 * spot_off_px, 0.6 * spot_off_px]
    if followed:
        seen[HIDDEN] = spots[HIDDEN]
    else:
        evidence[HIDDEN] = 0.1
    found = Crossings(seen, evidence, evidence.copy(), seen.copy(), np.tile([1.0, 0.0], (n, 1)))
    return merge(topology, SIDE, found, spots, np.full(n, 0.6)), truth


def _miss(merged: Merged, truth: np.ndarray) -> float:
    return float(np.hypot(*(merged.nodes - truth)[HIDDEN]))


@pytest.mark.parametrize("off", [5.0, 10.0, 15.0])
def test_a_lone_spot_far_off_an_even_lattice_gives_way_to_the_lattice(off: float) -> None:
    merged, truth = _merged(noise_px=0.6, spot_off_px=off)
    assert _miss(merged, truth) < 1.5
    assert merged.outside[HIDDEN]


def test_a_lone_spot_near_the_lattice_is_believed() -> None:
    merged, truth = _merged(noise_px=0.6, spot_off_px=2.0)
    assert merged.spotted[HIDDEN]
    assert _miss(merged, truth) == pytest.approx(2.0)


def test_in_an_unevenly_tied_lattice_a_lone_spot_is_believed_farther_off() -> None:
    merged, _ = _merged(noise_px=4.0, spot_off_px=10.0)
    assert merged.spotted[HIDDEN]


def test_where_followed_strings_and_a_spot_agree_the_node_may_lie_far_off_the_lattice() -> None:
    merged, truth = _merged(noise_px=0.6, spot_off_px=15.0, followed=True)
    assert merged.measured[HIDDEN]
    assert _miss(merged, truth) == pytest.approx(15.0, abs=1.0)
