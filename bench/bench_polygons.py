"""Masks to polygons, beside supervision's on the same masks: 60 coral-like masks of 1920 px, a third with holes.

Both get whole-picture masks and the boxes that every detector gives with them. supervision is no dependency
(``pip install 'reefline[bench]'``): without it the row has no value. Its outlines know no holes and are not simplified.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.polygons import Outline, masks_to_polygons, polygon_to_mask

SIDE = 1920
MASKS = 60
ROUNDS = 5


def rows() -> list[dict[str, Any]]:
    """Time beside supervision and beside OpenCV's plain contours; what is lost."""
    masks = coral_masks()
    boxes = [cv2.boundingRect(mask.view(np.uint8)) for mask in masks]
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        ours = best(lambda: traced(masks, boxes))
        plain = best(lambda: [cv2.findContours(m.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE) for m in masks])
        name, theirs = supervision_time(masks)
    finally:
        cv2.setNumThreads(threads)
    outlines = traced(masks, boxes)
    ious, ratios, intact, points = quality(masks, outlines)
    what = f"{MASKS} masks of {SIDE} px with their boxes, best of {ROUNDS}, one thread"
    return [
        {
            "name": "polygon.vs_supervision",
            "value": None if theirs is None else round(theirs / ours, 2),
            "unit": "times as fast",
            "reference": name,
            "reference_value": None if theirs is None else 1.0,
            "ratio": None if theirs is None else round(theirs / ours, 2),
            "note": f"{what}: {1000 * ours:.1f} ms" + ("" if theirs is None else f", theirs {1000 * theirs:.1f} ms"),
        },
        {
            "name": "polygon.vs_opencv",
            "value": round(plain / ours, 2),
            "unit": "times as fast",
            "reference": "cv2.findContours on whole pictures, neither simplified nor checked",
            "reference_value": 1.0,
            "ratio": round(plain / ours, 2),
            "note": f"{what}: {1000 * ours:.1f} ms, theirs {1000 * plain:.1f} ms",
        },
        {
            "name": "polygon.min_iou",
            "value": round(min(ious), 4),
            "unit": "IoU",
            "note": f"worst of {MASKS} after painting again; holes intact: {intact}; {points:.0f} points a mask; area "
            f"{min(ratios):.4f} to {max(ratios):.4f} of the pixels, {float(np.mean(ratios)):.5f} in the mean",
        },
    ]


def coral_masks() -> list[NDArray[np.bool_]]:
    """Lobed and ragged outlines of 60 to 360 px across, every third with a dead patch inside."""
    rng = np.random.default_rng(4)
    angle = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    masks = []
    for number in range(MASKS):
        radius, centre = rng.uniform(30, 180), rng.uniform(220, SIDE - 220, 2)
        r = 1 + 0.02 * rng.standard_normal(240)
        for order in (2, 3, 7, 11, 17):
            r += rng.uniform(0, 0.1) * np.cos(order * angle + rng.uniform(0, 6))
        ring = centre + radius * r[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        mask = polygon_to_mask(ring, [], SIDE, SIDE)
        if number % 3 == 0:
            cv2.circle(mask, tuple(centre.astype(int).tolist()), int(radius / 3), 0, -1)
        masks.append(mask.astype(bool))
    return masks


def traced(masks: list[NDArray[np.bool_]], boxes: list[Any]) -> list[list[Outline]]:
    """As the segmenters do it."""
    crops = [mask[y : y + h, x : x + w] for mask, (x, y, w, h) in zip(masks, boxes, strict=True)]
    return masks_to_polygons(crops, [(x, y) for x, y, _, _ in boxes])


def quality(
    masks: list[NDArray[np.bool_]], outlines: list[list[Outline]]
) -> tuple[list[float], list[float], bool, float]:
    """IoU and area ratio per mask, whether every hole is there, and points per mask."""
    ious, ratios, intact, points = [], [], True, 0
    for number, (mask, parts) in enumerate(zip(masks, outlines, strict=True)):
        back = np.zeros(mask.shape, bool)
        for part in parts:
            back |= polygon_to_mask(part.ring, part.holes, SIDE, SIDE).astype(bool)
            points += len(part.ring) + sum(map(len, part.holes))
        ious.append(float((mask & back).sum() / (mask | back).sum()))
        ratios.append(sum(part.area for part in parts) / float(mask.sum()))
        intact &= len(parts) == 1 and len(parts[0].holes) == (number % 3 == 0)
    return ious, ratios, intact, points / len(masks)


def supervision_time(masks: list[NDArray[np.bool_]]) -> tuple[str, float | None]:
    """What it is called, and its seconds for all masks; ``None`` when it is not installed."""
    try:
        import supervision
    except ImportError:
        return "supervision.mask_to_polygons (not installed)", None
    name = f"supervision {supervision.__version__} mask_to_polygons"
    return name, best(lambda: [supervision.mask_to_polygons(mask) for mask in masks])


def best(run: Callable[[], object]) -> float:
    """Seconds of the quickest of some rounds."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)
