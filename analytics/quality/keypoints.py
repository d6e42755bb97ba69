"""Skeletons: CVAT's object keypoint similarity, and the measure that says something of a lattice, pixels.

CVAT's OKS forgives much: with its default sigma a lone point may be 0.24 of the picture's side off and still match.
The lattice and the corners are therefore also measured in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labels.schema import Kind, Shape

MOVED_PX = 0.5
"""A node that lies further from where it was proposed than this was moved."""


def oks(
    a: ArrayLike, b: ArrayLike, visible_a: ArrayLike, visible_b: ArrayLike, scale: float, sigma: float = 0.09
) -> float:
    """Object keypoint similarity, 0..1, as in CVAT 2.54 (``oks`` in ``quality_reports.py``).

    Args:
        a: ``(n, 2)`` pixels.
        b: ``(m, 2)`` pixels; a different number of points gives 0.
        visible_a: ``(n,)`` bool.
        visible_b: ``(m,)`` bool.
        scale: area in px2 that the distance is weighed with.
        sigma: how far apart two people usually place a point.
    """
    first, second = np.asarray(a, float).reshape(-1, 2), np.asarray(b, float).reshape(-1, 2)
    if len(first) != len(second):
        return 0.0
    seen_a, seen_b = np.asarray(visible_a, bool), np.asarray(visible_b, bool)
    either = int((seen_a | seen_b).sum())
    if not either or scale <= 0:
        return 0.0
    squared = ((first - second) ** 2).sum(axis=1)
    close = np.exp(-squared / (2 * scale * (2 * sigma) ** 2))
    return float((close * (seen_a & seen_b)).sum() / either)


def skeleton_similarity(ds: Sequence[Shape], gt: Sequence[Shape], sigma: float = 0.09) -> NDArray[np.float64]:
    """OKS of every pair of skeletons, ``(len(ds), len(gt))``; 0 where their boxes do not meet.

    The scale is width x height of the mean box of the two, as in CVAT; nodes marked as outside are in no box.
    """
    result = np.zeros((len(ds), len(gt)))
    for i, one in enumerate(ds):
        for j, other in enumerate(gt):
            a, b = np.array(one.xy()), np.array(other.xy())
            here, there = _seen(one), _seen(other)
            if len(a) != len(b) or not here.any() or not there.any():
                continue
            low, high = (np.stack([f(a[here], axis=0), f(b[there], axis=0)]) for f in (np.min, np.max))
            if (low.max(0) >= high.min(0)).any():
                continue
            scale = float(np.prod(high.mean(0) - low.mean(0)))
            result[i, j] = oks(a, b, here, there, scale, sigma)
    return result


def _seen(shape: Shape) -> NDArray[np.bool_]:
    """Nodes that are not marked as outside; node ids are 1..n in the order of the points."""
    hidden = set(shape.outside_nodes())
    return np.array([str(k + 1) not in hidden for k in range(len(shape.points) // 2)], bool)


def compare_skeletons(proposed: Sequence[Shape], reviewed: Sequence[Shape]) -> dict[str, Any]:
    """How far people moved nodes, in pixels: over all nodes (None without any), and the worst pictures first."""
    before = {s.image_id: s for s in proposed if s.kind == Kind.SKELETON}
    pictures: list[dict[str, Any]] = []
    moved: list[NDArray[np.float64]] = []
    for shape in reviewed:
        known = before.get(shape.image_id)
        if shape.kind != Kind.SKELETON or known is None or len(known.points) != len(shape.points):
            continue
        distance = np.linalg.norm(np.array(known.xy()) - np.array(shape.xy()), axis=1)
        moved.append(distance)
        worst = {"rms_px": float(np.sqrt((distance**2).mean())), "max_px": float(distance.max())}
        pictures.append({"image_id": shape.image_id, **worst, "moved": int((distance > MOVED_PX).sum())})
    pictures.sort(key=lambda p: p["max_px"], reverse=True)
    every = np.concatenate(moved) if moved else np.zeros(0)
    return {
        "pictures": len(pictures),
        "nodes": len(every),
        "moved_share": float((every > MOVED_PX).mean()) if len(every) else None,
        "rms_px": float(np.sqrt((every**2).mean())) if len(every) else None,
        "p95_px": float(np.percentile(every, 95)) if len(every) else None,
        "max_px": float(every.max()) if len(every) else None,
        "worst": pictures[:10],
        "drawn_anew": len([s for s in reviewed if s.image_id not in before]),
    }
