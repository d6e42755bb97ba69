"""Outlines and masks as COCO run lengths, and what can be done with them without painting a picture.

Run lengths are rasterised as the COCO tools and CVAT do (``frPyObjects``), so that IoUs agree with theirs to the last
digit. Label tables count pixels from their centres, COCO from their corners: half a pixel is added here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco_mask
from numpy.typing import NDArray

from analytics.geometry import outlines_flat
from analytics.quality.crossings import HALF_PIXEL
from labels.formats.rle import unpack_counts
from labels.schema import Kind, Shape

Runs = dict[str, Any]
"""``{"size": [height, width], "counts": bytes}``."""


def runs_of(shapes: Sequence[Shape], width: int, height: int) -> list[Runs]:
    """Run lengths of polygons (without their holes) and masks; empty for other kinds and under three points.

    A polygon with coordinates that are no numbers is empty, too (``Rule.NOT_A_NUMBER`` names it): the tools would walk
    along it for minutes.
    """
    places: list[int] = []
    found: list[Runs] = [{}] * len(shapes)
    for place, shape in enumerate(shapes):
        if shape.kind == Kind.MASK and shape.rle:
            found[place] = {"size": [height, width], "counts": shape.rle.encode("ascii")}
        elif shape.kind == Kind.POLYGON and len(shape.points) >= 6 and math.isfinite(sum(shape.points)):
            places.append(place)
        else:
            found[place] = _from_bounds(np.zeros(0, np.int64), width, height)
    rings = _from_corners([shapes[place] for place in places])
    for place, runs in zip(places, coco_mask.frPyObjects(rings, height, width) if rings else [], strict=True):
        holes = [h for h in shapes[place].holes if len(h) >= 6]
        found[place] = without(runs, runs_of_rings(holes, width, height)) if holes else runs
    return found


def _from_corners(shapes: Sequence[Shape]) -> list[list[float]]:
    """Outer rings, counted from the corner of the first pixel."""
    flat, sizes = outlines_flat(shapes)
    moved, ends = (flat + HALF_PIXEL).tolist(), np.cumsum(sizes).tolist()
    return [moved[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def runs_of_rings(rings: Sequence[Sequence[float]], width: int, height: int) -> Runs:
    """Run lengths of the union of rings given in label coordinates."""
    flat = [[v + HALF_PIXEL for v in ring] for ring in rings]
    return coco_mask.merge(coco_mask.frPyObjects(flat, height, width))


def iou(ds: Sequence[Runs], gt: Sequence[Runs]) -> NDArray[np.float64]:
    """IoU of every pair, ``(len(ds), len(gt))``."""
    if not ds or not gt:
        return np.zeros((len(ds), len(gt)))
    return np.asarray(coco_mask.iou(list(ds), list(gt), [0] * len(gt)), np.float64).reshape(len(ds), len(gt))


def areas(runs: Sequence[Runs]) -> NDArray[np.float64]:
    """Pixels of each."""
    return np.asarray(coco_mask.area(list(runs)), np.float64) if runs else np.zeros(0)


def boxes(runs: Sequence[Runs]) -> NDArray[np.float64]:
    """Smallest box of each, ``(n, 4)``: left, top, width, height in whole pixels."""
    return np.asarray(coco_mask.toBbox(list(runs)), np.float64).reshape(-1, 4)


def without(one: Runs, other: Runs) -> Runs:
    """The pixels of ``one`` that are not in ``other``."""
    common = coco_mask.merge([one, other], intersect=True)
    height, width = one["size"]
    # What both share is part of `one`, so taking its edges out of the edges of `one` leaves the edges of the rest.
    return _from_bounds(np.setxor1d(_bounds(one), _bounds(common)), width, height)


def visible(runs: Sequence[Runs]) -> list[Runs]:
    """What is left of each when later ones lie on top of it, as CVAT's panoptic comparison sees them."""
    if len(runs) < 2:
        return list(runs)
    touching = iou(runs, runs) > 0
    left = []
    for index, own in enumerate(runs):
        above = [other for k, other in enumerate(runs) if k > index and touching[index, k]]
        left.append(without(own, coco_mask.merge(above)) if above else own)
    return left


def _bounds(runs: Runs) -> NDArray[np.int64]:
    """Places, column by column, at which the mask goes on or off."""
    counts = runs["counts"]
    lengths = unpack_counts(counts.decode("ascii") if isinstance(counts, bytes) else counts)
    ends = np.cumsum(np.asarray(lengths, np.int64))
    total = runs["size"][0] * runs["size"][1]
    # An empty run (the mask begins in the first pixel) gives a bound of 0, which is one.
    inner = ends[:-1] if len(ends) and ends[-1] == total else ends
    if len(lengths) % 2 == 0:  # the last run is on: it ends with the picture
        inner = np.append(inner, total)
    return inner


def _from_bounds(bounds: NDArray[np.int64], width: int, height: int) -> Runs:
    total = width * height
    counts = np.diff(np.concatenate([[0], bounds, [total]]))
    if len(bounds) % 2 == 0 and len(bounds) and bounds[-1] == total:
        counts = counts[:-1]
    return coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
