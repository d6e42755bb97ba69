"""Which pixels polygons cover, column by column, for all outlines of a picture at once.

The pixels are those of the COCO tools (``rleFrPoly`` in pycocotools' ``maskApi.c``), to the last one. That function
walks along every edge in fifths of a pixel and of its steps keeps those that cross the middle of a column. Here the
crossings are computed without the walk (``analytics.quality.crossings``), and no run lengths are made.

Columns and rows are whole pixels of the picture. A span is the rows ``[top, bottom)`` of one column.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analytics.quality.crossings import Rings, crossings_of, rings_of

MOST_CROSSINGS = 4_000_000
"""More in one picture would take too much memory (about 80 bytes each)."""
AT_ONCE = 1 << 15
"""Columns of pairs that are looked at together: few enough for the processor's cache."""
MOST_MEETINGS = 16 * AT_ONCE
"""More spans beside spans in these columns are too many to hold each against each."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Outlines of one picture. Each has a slot for every column from its leftmost to its rightmost.

    Attributes:
        rings: what was asked for, with the columns of each.
        span: ``(slots + 1,)`` where the spans of each slot begin; none is without one, though it may be of no row.
        top: ``(spans,)`` first row.
        bottom: ``(spans,)`` the row after the last.
        areas: ``(n,)`` pixels of each outline.
    """

    rings: Rings
    span: NDArray[np.int64]
    top: NDArray[np.integer]
    bottom: NDArray[np.integer]
    areas: NDArray[np.int64]


def spans_of(points: NDArray[np.float64], sizes: NDArray[np.int64], width: int, height: int) -> Spans | None:
    """The spans of rings, or None where there are too many.

    Args:
        points: ``(m,)`` x, y, x, y, ... of all rings one after the other, label coordinates (pixel centres are whole),
            each within ``crossings.FARTHEST_PX``.
        sizes: ``(n,)`` how many numbers of ``points`` are each ring's; at least six.
        width: of the picture in pixels.
        height: of the picture in pixels.
    """
    rings = rings_of(points, sizes, width)
    if rings.crossings > MOST_CROSSINGS:
        return None
    # Every column is crossed an even number of times, so in order each two of one slot are a span.
    keys = np.sort(crossings_of(rings, height))
    start, rows = keys[0::2], keys[1::2] - keys[0::2]
    slot = start // (height + 1)
    top = start - slot * (height + 1)
    span = _sums(np.bincount(slot, minlength=int(rings.slot[-1])))
    pixels = _sums(rows)
    areas = np.diff(pixels[span[rings.slot]])
    return Spans(rings, span, top, top + rows, areas)


def iou_of(spans: Spans, ds: int) -> NDArray[np.float64] | None:
    """IoU of the first ``ds`` outlines with each of the others, ``(ds, n - ds)``; None where spans meet too often.

    The same numbers as ``mask.iou`` of the COCO tools: pixels in common by pixels in either, 0 where none is in common.
    """
    rings = spans.rings
    first = np.maximum(rings.first[:ds, None], rings.first[None, ds:])
    last = np.minimum(rings.last[:ds, None], rings.last[None, ds:])
    # The rows of corners bound the rows of pixels; outlines that share no row need no look at their columns.
    high = np.maximum(rings.highest[:ds, None], rings.highest[None, ds:])
    low = np.minimum(rings.lowest[:ds, None], rings.lowest[None, ds:])
    i, j = np.nonzero((first <= last) & (high < low))
    found = np.zeros((ds, len(rings.first) - ds))
    if not len(i):
        return found
    columns = last[i, j] - first[i, j] + 1
    one, other = (rings.slot[k] - rings.first[k] + first[i, j] for k in (i, j + ds))
    both = np.empty(len(i), np.int64)
    cuts = np.searchsorted(np.cumsum(columns), np.arange(AT_ONCE, int(columns.sum()), AT_ONCE))
    for begin, end in pairwise(np.unique([0, *cuts, len(i)]).tolist()):
        common = _common_pixels(spans, one[begin:end], other[begin:end], columns[begin:end])
        if common is None:
            return None
        both[begin:end] = common
    either = spans.areas[i] + spans.areas[j + ds] - both
    found[i, j] = both / np.maximum(either, 1)
    return found


def _common_pixels(
    spans: Spans, one: NDArray[np.int64], other: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Pixels that outlines have in common, pair by pair, from one slot each on; None where too many spans meet."""
    begins = np.cumsum(columns) - columns
    step = np.arange(int(columns.sum()))
    rows = _common_rows(spans, *(np.repeat(slot - begins, columns) + step for slot in (one, other)))
    return None if rows is None else np.add.reduceat(rows, begins, dtype=np.int64)


def _common_rows(spans: Spans, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.integer] | None:
    """Rows that slots have in common, pair by pair; None where too many spans meet."""
    first, second = spans.span[one], spans.span[other]
    common = _meet(spans, first, second)
    several = np.diff(spans.span) > 1
    rest = np.flatnonzero(several[one] | several[other])
    if not len(rest):
        return common
    one, other, first, second = one[rest], other[rest], first[rest], second[rest]
    beside = spans.span[other + 1] - second
    meetings = (spans.span[one + 1] - first) * beside
    ends = np.cumsum(meetings)
    if ends[-1] > MOST_MEETINGS:
        return None
    begins = ends - meetings
    which, partner = np.divmod(np.arange(int(ends[-1])) - np.repeat(begins, meetings), np.repeat(beside, meetings))
    met = _meet(spans, which + np.repeat(first, meetings), partner + np.repeat(second, meetings))
    common[rest] = np.add.reduceat(met, begins)
    return common


def _meet(spans: Spans, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.integer]:
    """Rows in common of spans of the same column."""
    rows = np.minimum(spans.bottom[one], spans.bottom[other])
    rows -= np.maximum(spans.top[one], spans.top[other])
    return np.maximum(rows, 0, out=rows)


def _sums(counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Running sums, from 0 on: ``(n + 1,)``."""
    sums = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=sums[1:])
    return sums
