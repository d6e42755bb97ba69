"""IoU of every outline of one side with every one of the other, the numbers of the COCO tools.

Whole polygons, which most outlines are, go by spans (``analytics.quality.spans``, compiled where that could be); masks
and polygons with holes, and pictures that are too much for spans, by run lengths (``analytics.quality.runs``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analytics.quality import loops
from analytics.quality.crossings import FARTHEST_PX
from analytics.quality.runs import Runs, areas, boxes, iou, runs_of
from analytics.quality.spans import MOST_CROSSINGS, iou_of, spans_of
from labels.schema import Kind, Shape

FEW = 0.25
"""Up to this share of outlines that are no whole polygons, the others are worth a way of their own."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """Outlines of one picture, the coordinates of the whole polygons taken out of their rows.

    Attributes:
        shapes: polygons and masks.
        width: of the picture in pixels.
        height: of the picture in pixels.
        whole: ``(len(shapes),)`` bool: polygons of three corners and more, without holes.
        points: x, y, x, y, ... of these in label coordinates, one polygon after the other.
        sizes: how many of ``points`` are each one's.
        made: run lengths that were asked for, by place.
    """

    shapes: Sequence[Shape]
    width: int
    height: int
    whole: NDArray[np.bool_]
    points: NDArray[np.float64]
    sizes: NDArray[np.int64]
    made: dict[int, Runs] = field(default_factory=dict)

    def pixels(self) -> NDArray[np.float64]:
        """Area of each; of whole polygons by the shoelace formula, which is much faster than counting pixels."""
        found = np.zeros(len(self.shapes))
        if len(self.sizes):
            found[self.whole] = _shoelace(self.points, self.sizes // 2)
        others = np.flatnonzero(~self.whole)
        found[others] = areas(self.runs(others))
        return found

    def corners(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of every outline the first corner in ``points`` and how many it has: none if it is no whole polygon."""
        counts = np.zeros(len(self.shapes), np.int64)
        counts[self.whole] = self.sizes // 2
        return np.cumsum(counts) - counts, counts

    def runs(self, places: NDArray[np.int64]) -> list[Runs]:
        """Run lengths of some of them, made once."""
        missing = [k for k in places.tolist() if k not in self.made]
        self.made.update(zip(missing, runs_of([self.shapes[k] for k in missing], self.width, self.height), strict=True))
        return [self.made[k] for k in places.tolist()]


def outlines_of(shapes: Sequence[Shape], width: int, height: int) -> Outlines:
    """Take coordinates out of rows."""
    whole = [s.kind == Kind.POLYGON and not s.holes and len(s.points) >= 6 for s in shapes]
    points, sizes = loops.flat([shape for shape, is_whole in zip(shapes, whole, strict=True) if is_whole])
    return Outlines(shapes, width, height, np.array(whole, bool), points, sizes)


def outline_iou(outlines: Outlines, ds: int) -> NDArray[np.float64]:
    """IoU of the first ``ds`` outlines with each of the others, ``(ds, n - ds)``."""
    every = np.arange(len(outlines.shapes))
    odd = np.flatnonzero(~outlines.whole)
    ious = None
    if len(odd) <= FEW * len(every):
        ious = _iou_of_whole(outlines, int(outlines.whole[:ds].sum()))
    if ious is None:
        return iou(outlines.runs(every[:ds]), outlines.runs(every[ds:]))
    if not len(odd):
        return ious
    found = np.zeros((ds, len(every) - ds))
    found[np.ix_(outlines.whole[:ds], outlines.whole[ds:])] = ious
    mine, theirs = odd[odd < ds], odd[odd >= ds]
    found[mine] = _iou_of_some(outlines, mine, every[ds:])
    found[:, theirs - ds] = _iou_of_some(outlines, theirs, every[:ds]).T
    return found


def _iou_of_whole(outlines: Outlines, ds: int) -> NDArray[np.float64] | None:
    """IoU of whole polygons; None where they are too much for spans."""
    others = len(outlines.sizes) - ds
    if not ds or not others:
        return np.zeros((ds, others))
    if loops.compiled is not None:
        found = np.empty((ds, others))
        given = outlines.points, outlines.sizes, ds, outlines.width, outlines.height, MOST_CROSSINGS
        return found if loops.compiled.outline_iou(*given, found) else None
    if not np.abs(outlines.points).max() <= FARTHEST_PX:
        return None
    spans = spans_of(outlines.points, outlines.sizes, outlines.width, outlines.height)
    return None if spans is None else iou_of(spans, ds)


def _iou_of_some(outlines: Outlines, few: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
    """IoU by run lengths, which are made only of those others that could lie on one of the few."""
    found = np.zeros((len(few), len(others)))
    if len(few) and len(others):
        runs = outlines.runs(few)
        near = (_near(outlines, boxes(runs)) | ~outlines.whole)[others]
        found[:, near] = iou(runs, outlines.runs(others[near]))
    return found


def _near(outlines: Outlines, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which whole polygons come within a pixel of one of the boxes (x, y, width, height), by shape."""
    found = np.zeros(len(outlines.shapes), bool)
    if len(outlines.sizes):
        starts = (np.cumsum(outlines.sizes) - outlines.sizes) // 2
        corners = outlines.points.reshape(-1, 2)
        low, high = np.minimum.reduceat(corners, starts)[:, None] - 1, np.maximum.reduceat(corners, starts)[:, None] + 1
        meets = (low <= boxes[:, :2] + boxes[:, 2:]) & (high >= boxes[:, :2])
        found[outlines.whole] = np.any(np.all(meets, axis=2), axis=1)
    return found


def _shoelace(points: NDArray[np.float64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    x, y = points[0::2].copy(), points[1::2].copy()
    starts = np.cumsum(lengths) - lengths
    after = np.arange(1, len(x) + 1)
    after[starts + lengths - 1] = starts
    return np.asarray(np.abs(np.add.reduceat(x * y[after] - x[after] * y, starts)) / 2)
