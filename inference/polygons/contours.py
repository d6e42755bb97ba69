"""Contours of many masks, one after the other: OpenCV's, or the same ones compiled, which takes half the time.

``_contours.c`` is compiled when reefline is installed where there is a C compiler; elsewhere ``compiled`` is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from types import ModuleType
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

compiled: ModuleType | None
try:
    from inference.polygons import _contours as compiled
except ImportError:
    compiled = None


class Contours(NamedTuple):
    """Corners of the pixels along borders; pixels that touch at a corner belong together.

    Attributes:
        points: ``(n, 2)`` int32 pixels of the picture: from each to the next runs a straight or diagonal line. The last
            one of a contour is its first one again.
        starts: ``(contours + 1,)`` where each contour begins, and ``n``.
        masks: ``(contours,)`` number of the mask each one belongs to.
        parents: ``(contours,)`` for a hole's contour the number of the one around it, else -1.
    """

    points: NDArray[np.int32]
    starts: NDArray[np.int64]
    masks: NDArray[np.int64]
    parents: NDArray[np.int64]


def contours_of(crops: Sequence[NDArray[np.uint8]], offsets: Sequence[tuple[int, int]]) -> Contours:
    """Contours of masks ``(h, w)``, 0 = outside; ``offsets`` are left and top of each in the picture."""
    if compiled is None:
        return _by_opencv(crops, offsets)
    points, starts, parents, counts = compiled.contours(crops, np.array(offsets, np.int32).reshape(-1, 2))
    return Contours(
        np.frombuffer(points, np.int32).reshape(-1, 2),
        np.frombuffer(starts, np.int64),
        np.repeat(np.arange(len(crops)), np.frombuffer(counts, np.int64)),
        np.frombuffer(parents, np.int64),
    )


def _by_opencv(crops: Sequence[NDArray[np.uint8]], offsets: Sequence[tuple[int, int]]) -> Contours:
    contours: list[NDArray[np.int32]] = []
    trees = [np.zeros((0, 4), np.int32)]
    counts = np.zeros(len(crops), np.int64)
    for number, (crop, offset) in enumerate(zip(crops, offsets, strict=True)):
        if not crop.size:
            continue
        found, tree = cv2.findContours(crop, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=offset)
        if found:
            contours += found
            trees.append(tree[0])
            counts[number] = len(found)
    above = np.concatenate(trees)[:, 3]
    parents = np.where(above < 0, -1, above + np.repeat(np.cumsum(counts) - counts, counts))
    starts = np.cumsum([0, *map(len, contours)]) + np.arange(len(contours) + 1)
    closed = [*chain.from_iterable((contour, contour[:1]) for contour in contours), np.zeros((0, 1, 2), np.int32)]
    return Contours(np.concatenate(closed)[:, 0], starts, np.repeat(np.arange(len(crops)), counts), parents)
