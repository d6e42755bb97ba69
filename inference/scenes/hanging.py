"""How a lattice really hangs: strings bow and drift, some are cut, some are gone; and where that leaves the nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from inference.scenes.frame import Sag
from inference.scenes.optics import Points
from labels.lattice import LatticeTopology

_STEPS = 6
"""Points of a painted string between two knots."""


@dataclass(frozen=True, slots=True)
class Hanging:
    """A lattice as it hangs in one frame.

    Attributes:
        nodes_unit: ``(n, 2)`` units, in topology order. A node that is gone keeps the place where it would be.
        present: ``(n,)`` bool, whether the strings still cross there.
        pieces: polylines in units that are to be painted.
    """

    nodes_unit: Points
    present: NDArray[np.bool_]
    pieces: tuple[Points, ...]


def hang(topology: LatticeTopology, rng: Generator, sag: float = 0.0, missing: int = 0, cuts: int = 0) -> Hanging:
    """Hang a lattice into a frame.

    Every string is a smooth curve through its (moved) nodes, so a node lies exactly where its strings cross. Half of
    the sag moves neighbours together (current), half is each string's own bow; both vanish at the frame.

    Args:
        topology: the strings.
        rng: decides everything.
        sag: largest displacement in units, about.
        missing: strings that are gone; at most all but one.
        cuts: strings with a gap and loose ends, among those left.
    """
    nodes = _moved(topology, rng, sag)
    order = rng.permutation(len(topology.strings))
    gone = set(order[: min(missing, len(order) - 1)].tolist())
    cut = set(order[len(gone) : len(gone) + cuts].tolist())
    left = np.zeros(topology.size, int)  # strings that still run through a node
    pieces: list[Points] = []
    for number, (ends, string) in enumerate(zip(topology.string_ends, topology.strings, strict=True)):
        if number in gone:
            continue
        if number in cut:
            kept, lost = _cut(nodes, string, ends, rng)
            pieces += kept
            left[[node for node in string if node not in lost]] += 1
        else:
            pieces.append(_curve(nodes, string, ends)[0])
            left[list(string)] += 1
    through = np.bincount(np.concatenate(topology.strings), minlength=topology.size)
    return Hanging(nodes, (left >= np.minimum(2, through)) & (through > 0), tuple(pieces))


def _moved(topology: LatticeTopology, rng: Generator, sag: float) -> Points:
    unit = topology.unit
    fade = np.sqrt(np.clip(np.sin(np.pi * unit), 0, 1).prod(axis=1, keepdims=True))
    nodes = unit + fade * (Sag(rng, 0.5 * sag)(unit) - unit)
    for ends, string in zip(topology.string_ends, topology.strings, strict=True):
        way = ends[1] - ends[0]
        length = float(np.hypot(*way))
        if length < 1e-9:
            continue
        along = (unit[list(string)] - ends[0]) @ way / length**2
        bow = rng.uniform(-0.5, 0.5) * sag * np.sin(np.pi * np.clip(along, 0, 1))
        nodes[list(string)] += bow[:, None] * np.array([-way[1], way[0]]) / length
    return nodes


def _curve(nodes: Points, string: tuple[int, ...], ends: Points) -> tuple[Points, NDArray[np.float64]]:
    """Points along the string, and for each its position counted in knots; the first node is knot 1."""
    knots = np.vstack([ends[0], nodes[list(string)], ends[1]])
    step = np.hypot(*np.diff(knots, axis=0).T)
    chord = np.concatenate([[0], np.cumsum(np.maximum(step, 1e-7))])
    position = np.linspace(0, len(knots) - 1, (len(knots) - 1) * _STEPS + 1)
    distinct = np.concatenate([[True], step > 1e-6])  # a string may begin at its first node
    at = np.interp(position, np.arange(len(knots)), chord)
    return CubicSpline(chord[distinct], knots[distinct], bc_type="natural")(at), position


def _cut(nodes: Points, string: tuple[int, ...], ends: Points, rng: Generator) -> tuple[list[Points], set[int]]:
    """The two pieces of a cut string with their loose ends, and the nodes in the gap."""
    points, position = _curve(nodes, string, ends)
    count = int(rng.integers(1, max(2, len(string) // 3 + 1)))
    first = int(rng.integers(1, len(string) - count + 2))  # knots, 1 is the first node
    low, high = first - rng.uniform(0.3, 0.7), first + count - 1 + rng.uniform(0.3, 0.7)
    lost = set(string[first - 1 : first - 1 + count])
    pieces = []
    gap = float(np.hypot(*np.diff(points[(position > low) & (position < high)], axis=0).T).sum())
    for piece in (points[position <= low], points[position >= high][::-1]):
        if len(piece) >= 2:
            pieces.append(np.vstack([piece, _loose_end(piece, 0.45 * gap, rng)]))
    return pieces, lost


def _loose_end(piece: Points, longest: float, rng: Generator) -> Points:
    """Where the current lays the loose end: onward from the piece's last point, turning as it goes."""
    way = piece[-1] - piece[-2]
    heading = np.arctan2(way[1], way[0]) + rng.normal(0, 0.3) + np.cumsum(rng.normal(0, 0.12) + rng.normal(0, 0.1, 10))
    step = min(0.06, longest) * rng.uniform(0.3, 1.0) / len(heading)
    return piece[-1] + np.cumsum(step * np.column_stack([np.cos(heading), np.sin(heading)]), axis=0)
