"""From followed strings to nodes: where strings cross, and the smooth lattice those crossings lie on."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.lattice.strips import Strip
from inference.lattice.tracks import Track
from labels.lattice import LatticeTopology
from labels.transforms import apply_homography

# Evidence below this may be reef texture (0..1, see tracks; 0.5 is three standard deviations).
SEEN = 0.4
_NODE_WINDOW = 0.22
# A node farther than this from the smooth lattice (pixels of 1920) is a mistake of the path search, not a bent string.
_OUTLIER_PX = 7.0
_ENOUGH_FOR_HOMOGRAPHY = 8
_ENOUGH_FOR_CUBIC = 40
_ENOUGH_FOR_SQUARE = 15

_Line = tuple[NDArray[np.float64], NDArray[np.float64], float]


@dataclass(frozen=True, slots=True)
class Crossings:
    """What the followed strings say about each node, arrays over the ``n`` nodes.

    Attributes:
        points: ``(n, 2)`` where the strings meet, pixels.
        weak: evidence of the less visible of a node's strings, 0..1.
        strong: evidence of the more visible one.
        anchor: ``(n, 2)`` a point of the more visible string.
        along: ``(n, 2)`` its unit direction there.
    """

    points: NDArray[np.float64]
    weak: NDArray[np.float64]
    strong: NDArray[np.float64]
    anchor: NDArray[np.float64]
    along: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LatticeFit:
    """Nodes after the fit.

    Attributes:
        nodes: ``(n, 2)`` measured where the strings are seen, predicted elsewhere.
        predicted: ``(n, 2)`` the smooth lattice alone.
        outside: ``(n,)`` bool, no string seen.
        residual_px: ``(n,)`` node to predicted, 0 where no string is seen.
        strayed: share of the nodes whose followed strings meet far off the lattice, so that they were replaced.
        clarity: 0..1, share of the nodes that are seen, those on one string only counting less.
    """

    nodes: NDArray[np.float64]
    predicted: NDArray[np.float64]
    outside: NDArray[np.bool_]
    residual_px: NDArray[np.float64]
    strayed: float
    clarity: float


def cross_strings(
    topology: LatticeTopology, strips: list[Strip], tracks: list[Track], expected: NDArray[np.float64]
) -> Crossings:
    """Where the followed strings meet. A node on one string only keeps its expected place along that string."""
    lines: list[list[_Line]] = [[] for _ in range(topology.size)]
    for strip, track in zip(strips, tracks, strict=True):
        for node, station in zip(topology.strings[strip.string], strip.node_stations, strict=True):
            lines[node].append(_local_line(strip, track, station))
    n = topology.size
    found = Crossings(expected.copy(), np.zeros(n), np.zeros(n), expected.copy(), np.tile([1.0, 0.0], (n, 1)))
    for node, through in enumerate(lines):
        if not through:
            continue
        evidence = [line[2] for line in through]
        found.weak[node], found.strong[node] = min(evidence), max(evidence)
        found.anchor[node], found.along[node], _ = through[int(np.argmax(evidence))]
        single = len(through) == 1
        found.points[node] = _foot(expected[node], *through[0][:2]) if single else _meeting(through)
    return found


def _local_line(strip: Strip, track: Track, station: float) -> _Line:
    """The string near a station as a point, a unit direction, and its evidence on both sides of the crossing."""
    gaps = np.diff(strip.node_stations)
    pitch = float(gaps.min()) if len(gaps) else len(strip.spots) / 4
    reach = max(4.0, _NODE_WINDOW * pitch)
    last = len(strip.spots)
    low = int(np.clip(np.floor(station - reach), 0, last - 2))
    high = int(np.clip(np.ceil(station + reach) + 1, low + 2, last))
    rows = np.arange(low, high)
    real = strip.spots[rows] + strip.normals[rows] * track.offset[rows, None]
    weight = np.maximum(track.evidence[rows], 1e-3)
    weight /= weight.sum()
    # Weighted regression of x and y on the station, by its closed form.
    t = rows - station
    middle, centre = float(weight @ t), weight @ real
    spread = max(float(weight @ (t - middle) ** 2), 1e-9)
    slope = ((weight * (t - middle)) @ (real - centre)) / spread
    along = slope / max(float(np.hypot(*slope)), 1e-9)
    return centre - slope * middle, along, float(np.median(track.evidence[rows]))


def _foot(point: NDArray[np.float64], anchor: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray[np.float64]:
    """The point of a line nearest to ``point``; also for ``(n, 2)`` arrays of all three."""
    return anchor + along * ((point - anchor) * along).sum(axis=-1, keepdims=True)


def _meeting(through: list[_Line]) -> NDArray[np.float64]:
    """Least squares point of all lines."""
    a, b = np.zeros((2, 2)), np.zeros(2)
    for point, along, _ in through:
        across = np.eye(2) - np.outer(along, along)
        a += across
        b += across @ point
    return np.linalg.pinv(a) @ b


def fit_lattice(topology: LatticeTopology, side: int, found: Crossings) -> LatticeFit:
    """The smooth lattice through the crossings, and the nodes: measured, on one string, or predicted."""
    tolerance = _OUTLIER_PX * side / 1920
    both, one = found.weak >= SEEN, found.strong >= SEEN
    if both.sum() < _ENOUGH_FOR_HOMOGRAPHY:
        return _without_redundancy(topology, side, found, one)
    predicted = _smooth_lattice(topology, side, found.points, both, tolerance)
    gap = np.hypot(*(found.points - predicted).T)
    measured = both & (gap <= tolerance)
    on_string = _foot(predicted, found.anchor, found.along)
    near = one & (np.hypot(*(on_string - predicted).T) <= tolerance)
    nodes = predicted.copy()
    nodes[near] = on_string[near]
    nodes[measured] = found.points[measured]
    residual = np.where(one, np.hypot(*(nodes - predicted).T), 0.0)
    clarity = float(measured.mean() + 0.7 * (one & ~measured).mean())
    return LatticeFit(nodes, predicted, ~one, residual, float((both & ~measured).mean()), clarity)


def _without_redundancy(topology: LatticeTopology, side: int, found: Crossings, seen: NDArray[np.bool_]) -> LatticeFit:
    """Too few nodes to tell a mistake from a shifted lattice: what was measured is believed, the rest moves along."""
    ideal = topology.ideal(side)
    shift = np.median((found.points - ideal)[seen], axis=0) if seen.any() else np.zeros(2)
    nodes = np.where(seen[:, None], found.points, ideal + shift)
    return LatticeFit(nodes, nodes, ~seen, np.zeros(topology.size), 0.0, float(seen.mean()))


def _smooth_lattice(
    topology: LatticeTopology, side: int, points: NDArray[np.float64], seen: NDArray[np.bool_], tolerance: float
) -> NDArray[np.float64]:
    ideal = topology.ideal(side)
    cv2.setRNGSeed(1)
    matrix, inlier = cv2.findHomography(ideal[seen], points[seen], cv2.RANSAC, 2 * tolerance, maxIters=1000)
    if matrix is None:
        return ideal + np.median((points - ideal)[seen], axis=0)
    flat = apply_homography(matrix, ideal)
    good = seen.copy()
    good[seen] = inlier.ravel() > 0
    return flat + _bulge(topology, points - flat, good, tolerance)


def _bulge(
    topology: LatticeTopology, miss: NDArray[np.float64], good: NDArray[np.bool_], tolerance: float
) -> NDArray[np.float64]:
    """The smooth part of what the homography misses (sagging strings, lens), a cubic in the frame's coordinates.

    Iteratively reweighted least squares with Geman-McClure weights.
    """
    count = int(good.sum())
    degree = 3 if count >= _ENOUGH_FOR_CUBIC else 2 if count >= _ENOUGH_FOR_SQUARE else 0
    x, y = (2 * topology.unit - 1).T
    basis = np.column_stack([x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)])
    weight = good.astype(float)
    smooth = np.zeros_like(miss)
    for _ in range(5):
        w = np.sqrt(weight)[:, None]
        smooth = basis @ np.linalg.lstsq(basis * w, miss * w, rcond=None)[0]
        gap = np.hypot(*(miss - smooth).T)
        weight = good / (1 + (gap / (0.4 * tolerance)) ** 2) ** 2
    return smooth
