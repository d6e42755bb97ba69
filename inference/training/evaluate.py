"""Held-out figures of a coral model: mask average precision at IoU 0.5, and pixel IoU per taxon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon

from inference.segmentation import Instance

MATCH_IOU = 0.5
RECALLS = np.linspace(0, 1, 101)
"""COCO's 101 recall points."""


def average_precision(pictures: Iterable[tuple[Sequence[Instance], Sequence[tuple[str, NDArray]]]]) -> dict[str, float]:
    """Average precision per taxon at mask IoU 0.5, and their mean as ``mAP50``.

    Args:
        pictures: for each picture the proposals and the truth as (taxon, ring) pairs, in the same pixels.
    """
    hits: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    truths: dict[str, int] = defaultdict(int)
    for proposals, truth in pictures:
        for taxon, _ in truth:
            truths[taxon] += 1
        free = {i: (taxon, Polygon(ring).buffer(0)) for i, (taxon, ring) in enumerate(truth)}
        for proposal in sorted(proposals, key=lambda p: -p.score):
            shape = Polygon(proposal.ring, proposal.holes).buffer(0)
            scored = [(_iou(shape, other), i) for i, (taxon, other) in free.items() if taxon == proposal.label]
            best = max(scored, default=(0.0, -1))
            hits[proposal.label].append((proposal.score, best[0] >= MATCH_IOU))
            if best[0] >= MATCH_IOU:
                del free[best[1]]
    result = {taxon: _interpolated(hits[taxon], count) for taxon, count in truths.items()}
    return {**result, "mAP50": float(np.mean(list(result.values()))) if result else 0.0}


def _iou(a: Polygon, b: Polygon) -> float:
    if not a.intersects(b):
        return 0.0
    common = a.intersection(b).area
    return float(common / (a.area + b.area - common))


def _interpolated(hits: Sequence[tuple[float, bool]], count: int) -> float:
    ordered = [hit for _, hit in sorted(hits, key=lambda h: -h[0])]
    if not ordered:
        return 0.0
    true = np.cumsum(ordered)
    recall, precision = true / count, true / np.arange(1, len(ordered) + 1)
    best_after = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.mean([best_after[recall >= r].max(initial=0.0) for r in RECALLS]))
