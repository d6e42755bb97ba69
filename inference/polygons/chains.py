"""Borders of masks as chains of pixel edges, for many masks at once.

OpenCV follows a border from pixel to pixel. Which of its four edges a pixel gives to the border follows from where the
border came in and where it leaves, so the walk along pixel edges is a table look-up. Chains hold the middles of those
edges, in half pixels (doubled coordinates), which keeps them whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer[Any]]

# Direction codes, anticlockwise on the screen from east, in the order OpenCV turns. Even codes are pixel edges.
_STEPS = np.array([(1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1)], np.int32)
_CODE = np.full(9, 8, np.int32)
for _number, (_dx, _dy) in enumerate(_STEPS):
    _CODE[(_dy + 1) * 3 + _dx + 1] = _number
_ALONE = 8
"""Code of a border of one pixel, which neither comes nor goes."""


def _edges_passed() -> tuple[Ints, Ints]:
    """Per (code back to where the border came from, code where it goes): number of edges, and the edges in order."""
    count, table = np.zeros((9, 9), np.int64), np.zeros((9, 9, 4), np.int32)
    for back in range(8):
        for out in range(8):
            turns = (out - back) % 8 or 8
            edges = [(back + i) % 8 for i in range(1, turns) if (back + i) % 2 == 0]
            count[back, out], table[back, out, : len(edges)] = len(edges), edges
    count[_ALONE, _ALONE], table[_ALONE, _ALONE] = 4, (0, 2, 4, 6)
    return count, table


_COUNT, _TABLE = _edges_passed()

STRAIGHT = 4
"""Pixels of a run on both sides of a corner that make it a real one."""


@dataclass(frozen=True)
class Chains:
    """Closed borders, one after the other.

    Attributes:
        middles: ``(n, 2)`` middles of pixel edges in half pixels (x, y), in the order of the walk.
        edges: ``(n,)`` which edge of its pixel: 0 east, 2 north, 4 west, 6 south.
        starts: ``(rings + 1,)`` where each ring begins, and ``n``.
        masks: ``(rings,)`` number of the mask each ring belongs to.
        parents: ``(rings,)`` for a hole the number of the ring around it, else -1.
    """

    middles: Ints
    edges: Ints
    starts: Ints
    masks: Ints
    parents: Ints

    @cached_property
    def ring_of(self) -> Ints:
        """Number of the ring of each edge, ``(n,)``."""
        return np.repeat(np.arange(len(self.masks)), np.diff(self.starts))

    @cached_property
    def following(self) -> Ints:
        """Index of the edge after each edge, around its ring."""
        after = np.arange(1, len(self.middles) + 1)
        after[self.starts[1:] - 1] = self.starts[:-1]
        return after

    @cached_property
    def ends(self) -> Ints:
        """The lattice point where each edge ends and the next begins, in half pixels ``(n, 2)``."""
        return self.middles + _STEPS[(self.edges + 2) % 8]

    @cached_property
    def outward(self) -> Ints:
        """Unit step from each edge's pixel to its neighbour outside the mask, ``(n, 2)``."""
        return _STEPS[self.edges]

    @cached_property
    def turns(self) -> NDArray[np.bool_]:
        """Whether the walk turns at the end of each edge."""
        return self.edges != self.edges[self.following]

    @cached_property
    def sharp(self) -> NDArray[np.bool_]:
        """Whether a straight run of pixels ends here in a real corner (of the picture, of a box), not in a stair."""
        turns = self.turns
        before = np.concatenate([[0], np.cumsum(turns)])
        ring = self.ring_of
        run = before[:-1].copy()
        last = run == before[self.starts[1:]][ring]  # what follows a ring's last turn is its first run
        run[last] = before[self.starts[:-1]][ring][last]
        long = np.bincount(run, minlength=1)[run] >= STRAIGHT
        return turns & long & long[self.following]

    def with_corners(self, edge: Ints, starts: Ints, sharp: NDArray[np.bool_]) -> tuple[Ints, Ints]:
        """Middles of some edges, and behind those that are ``sharp`` the lattice point where the walk turns.

        Args:
            edge: ``(m,)`` indices of edges.
            starts: where parts of ``edge`` begin, and ``m``.
            sharp: ``(m,)``.

        Returns:
            Points ``(m + corners, 2)`` in half pixels, and where each part begins now.
        """
        points = self.middles[np.repeat(edge, 1 + sharp)]
        after = np.concatenate([[0], np.cumsum(1 + sharp)])
        points[after[1:][sharp] - 1] = self.ends[edge[sharp]]
        return points, after[starts]

    @cached_property
    def twice_area(self) -> NDArray[np.float64]:
        """Twice the signed area of each ring along pixel edges, in half pixels squared: negative for outer rings."""
        x, y = self.middles.T.astype(np.int64)
        after = self.following
        if not len(x):
            return np.zeros(0)
        twice = np.add.reduceat(x * y[after] - x[after] * y, self.starts[:-1])
        # Cutting a ring's corners at the middles costs half a pixel in all, whatever its form.
        return np.asarray(twice + 4 * np.sign(twice), float)

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """Pixels inside each ring."""
        return np.abs(self.twice_area) / 8


def chains_of(crops: Sequence[NDArray[np.uint8]], offsets: Sequence[tuple[int, int]]) -> Chains:
    """Borders of masks; pixels that touch at a corner are joined.

    Args:
        crops: masks ``(h, w)`` uint8, 0 = outside.
        offsets: (left, top) of each crop in the picture.
    """
    contours: list[NDArray[np.int32]] = []
    shifts, masks, parents = [], [], []
    for number, (crop, offset) in enumerate(zip(crops, offsets, strict=True)):
        framed = cv2.copyMakeBorder(crop, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        found, tree = cv2.findContours(framed, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        if not found:
            continue
        above = tree.reshape(-1, 4)[:, 3]
        parents += np.where(above < 0, -1, above + len(contours)).tolist()
        contours += found
        shifts += [(offset[0] - 1, offset[1] - 1)] * len(found)
        masks += [number] * len(found)
    if not contours:
        none = np.zeros(0, np.int64)
        return Chains(np.zeros((0, 2), np.int64), none, np.zeros(1, np.int64), none, none)
    lengths = np.array([len(contour) for contour in contours])
    pixels = np.concatenate(contours).reshape(-1, 2) + np.repeat(np.array(shifts, np.int32), lengths, axis=0)
    return _walk(pixels, lengths, np.array(masks), np.array(parents))


def _walk(pixels: Ints, lengths: Ints, masks: Ints, parents: Ints) -> Chains:
    starts = np.concatenate([[0], np.cumsum(lengths)])
    after = np.arange(1, len(pixels) + 1)
    after[starts[1:] - 1] = starts[:-1]
    step = pixels[after] - pixels
    out = _CODE[(step[:, 1] + 1) * 3 + step[:, 0] + 1]
    come = np.empty_like(out)
    come[after] = out
    back = np.where(come == _ALONE, _ALONE, (come + 4) % 8)
    count = _COUNT[back, out]
    pixel = np.repeat(np.arange(len(pixels)), count)
    before = np.concatenate([[0], np.cumsum(count)])
    nth = np.arange(before[-1]) - before[pixel]
    edges = _TABLE[back[pixel], out[pixel], nth]
    return Chains(2 * pixels[pixel] + _STEPS[edges], edges, before[starts], masks, parents)
