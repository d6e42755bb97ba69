"""The lattice finder without a network.

How it works: the frame says where each string should run. A strip around that line is straightened (``strips``), the
string is followed in it as the smoothest path along a ridge (``tracks``), and the crossings of the followed strings are
fitted as a plane in perspective plus a smooth bulge (``fit``). The fit predicts a second, narrower round in which the
strings' own colour is known, and stands in for nodes at which no string is seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.footprint import brighter_beside, estimate_string_width
from inference.lattice.finding import LatticeFinding
from inference.lattice.fit import LatticeFit, cross_strings, fit_lattice
from inference.lattice.strips import cut_strips
from inference.lattice.tracks import StringColour, follow, learn_colour
from inference.selfchecks import check_lattice, pitch_px
from labels.lattice import LatticeTopology

# Half-widths of the strips, in cells. 0.42 finds a string up to that far off and never reaches its neighbour's place
# as long as the corners are wrong by less than about a third of a cell.
_WIDE_CELLS = 0.42
_NARROW_CELLS = 0.14
_WIDEST_SHARE = 0.05
_USUAL_WIDTH_SHARE = 5.0 / 1920
_MAX_STRAYED_SHARE = 0.08


def find_lattice(
    rectified_rgb: NDArray[np.uint8], topology: LatticeTopology, string_width_px: float | None = None
) -> LatticeFinding:
    """The lattice's nodes in a rectified picture.

    Args:
        rectified_rgb: ``(S, S, 3)`` uint8 RGB, the frame's opening warped to a square.
        topology: which strings to look for.
        string_width_px: width of the strings in rectified pixels if the survey states it; otherwise measured.

    Raises:
        ValueError: the picture is not square.
    """
    side = rectified_rgb.shape[0]
    if rectified_rgb.shape[1] != side:
        raise ValueError(f"a rectified picture is square, got {rectified_rgb.shape[1]} x {side}")
    ideal = topology.ideal(side)
    pitch = pitch_px(topology, side)
    width = string_width_px or max(2.0, _USUAL_WIDTH_SHARE * side)
    wide = min(_WIDE_CELLS * pitch, _WIDEST_SHARE * side)
    narrow = min(_NARROW_CELLS * pitch, _WIDEST_SHARE * side / 3)
    if min(wide, narrow) < 3:
        return _nothing(ideal, f"at {side} px a side the strings of {topology.name} are too close to be told apart")

    # First round: wide strips around the ideal lattice, any colour.
    fit, colour = _round(rectified_rgb, topology, ideal, wide, width, None)
    expected = fit.predicted
    if (string := brighter_beside(rectified_rgb, fit.nodes, topology)) is not None:
        way, contrast, own = string
        expected = expected + way
        strength = float(np.linalg.norm(contrast))
        colour = StringColour(contrast / max(strength, 1e-9), strength, own)
    # Second round: narrow strips around the fitted lattice, the strings' own colour.
    fit, _ = _round(rectified_rgb, topology, expected, narrow, width, colour)
    measured = string_width_px or estimate_string_width(rectified_rgb, fit.nodes, topology)
    seen = ~fit.outside
    if not seen.any():
        return _nothing(ideal, "no strings of the lattice are visible")
    defects = check_lattice(fit.nodes, topology, side, fit.outside, fit.residual_px)
    if fit.strayed > _MAX_STRAYED_SHARE:
        defects.append(f"at {fit.strayed:.0%} of the nodes the strings do not meet where the lattice expects them")
    score = _score(fit, side) * (0.6 if defects else 1.0)
    seen_share = {"clarity": fit.clarity, "strayed": fit.strayed, "residual": typical_residual(fit, side)}
    return LatticeFinding(
        fit.nodes, fit.outside, fit.residual_px, round(score, 4), defects, float(measured), evidence=seen_share
    )


def _round(
    picture: NDArray[np.uint8],
    topology: LatticeTopology,
    expected: NDArray[np.float64],
    half_width: float,
    string_width: float,
    colour: StringColour | None,
) -> tuple[LatticeFit, StringColour]:
    strips = cut_strips(picture, topology, expected, half_width)
    tracks = follow(strips, string_width, colour)
    learned = learn_colour(strips, tracks, string_width) if colour is None else colour
    return fit_lattice(topology, picture.shape[0], cross_strings(topology, strips, tracks, expected)), learned


def _score(fit: LatticeFit, side: int) -> float:
    """Share of seen nodes, less with the typical distance from the smooth lattice (pixels of 1920)."""
    return float(np.clip(fit.clarity * np.exp(-typical_residual(fit, side) / 12.0), 0, 1))


def typical_residual(fit: LatticeFit, side: int) -> float:
    """Median distance of the seen nodes from the smooth lattice, pixels of 1920."""
    return float(np.median(fit.residual_px[~fit.outside])) * 1920 / side


def _nothing(ideal: NDArray[np.float64], defect: str) -> LatticeFinding:
    count = len(ideal)
    return LatticeFinding(ideal, np.ones(count, bool), np.zeros(count), 0.0, [defect])
