"""The borders of a label map as arcs: what lies between two neighbours is one line, for both.

Arcs run from node to node, a node being a lattice point where three or four borders meet. Walked along its own border,
each label sees an arc with itself on the same hand, so two neighbours walk their common arc in opposite directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inference.polygons.chains import Chains
from inference.polygons.simplify import Floats, Ints, Lines, fitted


@dataclass(frozen=True, slots=True)
class Arcs:
    """Unique arcs, and how the rings are made of them.

    Attributes:
        chains: the borders of all labels.
        edges: indices of the edges of all arcs, one after the other.
        starts: ``(arcs + 1,)`` where each arc begins in ``edges``.
        closed: ``(arcs,)`` whether an arc is a whole ring without a node.
        rings: for each ring its arcs in order, as (number, whether it is walked backwards).
    """

    chains: Chains
    edges: Ints
    starts: Ints
    closed: NDArray[np.bool_]
    rings: tuple[tuple[tuple[int, bool], ...], ...]

    @property
    def bent(self) -> Floats:
        """What cutting each arc's corners at the middles of edges moves, in pixels."""
        turns = self.chains.turns[self.edges]
        return np.add.reduceat(turns, self.starts[:-1]) / 8

    def points(self, arcs: Ints, tolerance: Floats) -> tuple[list[Floats], Floats]:
        """Simplified arcs in pixels, ends included, and the area each moves over; tolerance in pixels."""
        chains = self.chains
        edge, starts, closed = self._some(arcs)
        last = np.zeros(len(edge), bool)
        last[starts[1:] - 1] = True
        open_end = last & ~np.repeat(closed, np.diff(starts))
        middles, begin = chains.with_corners(edge, starts, chains.sharp[edge] & ~open_end)
        ends = chains.ends
        back = 2 * chains.middles.astype(np.int64) - ends
        first, final = edge[starts[:-1]], edge[starts[1:] - 1]
        # An open arc goes from node to node, a closed one back to its first middle.
        head = back[first][~closed]
        tail = np.where(closed[:, None], chains.middles[first], ends[final])
        line = np.insert(middles, begin[1:], tail, axis=0)
        begin = begin + np.arange(len(begin))
        line = np.insert(line, begin[:-1][~closed], head, axis=0)
        begin = begin + np.concatenate([[0], np.cumsum(~closed)])
        twice = back[edge, 0] * ends[edge, 1] - ends[edge, 0] * back[edge, 1]
        target = np.add.reduceat(twice, starts[:-1]).astype(float)
        placed, at, moved = fitted(Lines(line.astype(np.int32), begin, target, closed), 2 * tolerance)
        return [placed[a:b] / 2 for a, b in pairwise(at)], moved / 4

    def exact(self, arcs: Ints) -> list[Floats]:
        """Arcs along pixel edges, ends included, in pixels."""
        chains = self.chains
        ends, turns = chains.ends, chains.turns
        lines = []
        for arc in arcs:
            edge = self.edges[self.starts[arc] : self.starts[arc + 1]]
            corners = ends[edge[turns[edge]]]
            if self.closed[arc]:
                lines.append(np.vstack([corners, corners[:1]]) / 2)
                continue
            inner = ends[edge[:-1][turns[edge[:-1]]]]
            start = 2 * chains.middles[edge[0]] - ends[edge[0]]
            lines.append(np.vstack([start[None], inner, ends[edge[-1]][None]]) / 2)
        return lines

    def _some(self, arcs: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        lengths = np.diff(self.starts)[arcs]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        index = np.arange(starts[-1]) + np.repeat(self.starts[arcs] - starts[:-1], lengths)
        return self.edges[index], starts, self.closed[arcs]


def arcs_of(chains: Chains, label_map: NDArray[np.int32]) -> Arcs:
    """Cut the borders of a label map's labels into arcs."""
    node = _nodes(chains, label_map)
    before = np.empty_like(node)
    before[chains.following] = node  # whether an edge begins at a node
    lengths = np.diff(chains.starts)
    ring = chains.ring_of
    nth = np.arange(len(ring)) - chains.starts[ring]
    # Each ring from its first edge that begins at a node.
    first = np.full(len(lengths), np.iinfo(np.int64).max)
    np.minimum.at(first, ring[before], nth[before])
    has = first < np.iinfo(np.int64).max
    first[~has] = 0
    order = chains.starts[ring] + (nth + first[ring]) % lengths[ring]
    begins = before[order] | (nth == 0)
    starts = np.append(np.flatnonzero(begins), len(order))
    x, y = chains.middles[order].T
    place = (y + 2) * (2 * label_map.shape[1] + 5) + x + 2
    _, chosen, number = np.unique(np.minimum.reduceat(place, starts[:-1]), return_index=True, return_inverse=True)
    arc_ring = ring[starts[:-1]]
    backwards = chosen[number] != np.arange(len(number))
    rings: list[list[tuple[int, bool]]] = [[] for _ in lengths]
    for arc, (of, is_back) in enumerate(zip(number.tolist(), backwards.tolist(), strict=True)):
        rings[arc_ring[arc]].append((of, is_back))
    edges = [order[starts[arc] : starts[arc + 1]] for arc in chosen]
    sizes = np.concatenate([[0], np.cumsum([len(part) for part in edges])])
    return Arcs(chains, np.concatenate(edges), sizes, ~has[arc_ring[chosen]], tuple(map(tuple, rings)))


def _nodes(chains: Chains, label_map: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether three or more borders meet where each edge ends."""
    framed = np.pad(label_map, 1)
    x, y = ((chains.ends + 1) // 2).T  # the pixel right and below of the lattice point
    a, b, c, d = framed[y, x], framed[y, x + 1], framed[y + 1, x], framed[y + 1, x + 1]
    return ((a != b).astype(int) + (c != d) + (a != c) + (b != d)) > 2
