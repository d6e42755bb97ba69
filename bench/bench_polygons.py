"""Masks to polygons, beside supervision's on the same masks: 60 coral-like masks of 1920 px, a third with holes.

Both get whole-picture masks and the boxes that every detector gives with them. supervision is no dependency
(``pip install 'reefline[bench]'``): without it the row has no value. Its outlines know no holes and are not simplified.

All sides take turns, and each one's best round counts. What supervision takes hangs on the C library's memory: it
copies every whole picture, and in a process that gives freed memory back at once, the fresh pages of the copies take
several times as long as the work. That is no merit of ours: :func:`settle_memory` puts it away for all sides.
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
ROUNDS = 100
KEPT_BYTES = 30_000_000


def rows() -> list[dict[str, Any]]:
    """Time beside supervision and beside OpenCV's plain contours; what is lost."""
    masks = coral_masks()
    boxes = [cv2.boundingRect(mask.view(np.uint8)) for mask in masks]
    name, theirs_run = supervision_run(masks)
    sides = {"ours": lambda: traced(masks, boxes), "plain": lambda: contours(masks)}
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    settle_memory()
    try:
        seconds = best(sides if theirs_run is None else {**sides, "theirs": theirs_run})
    finally:
        cv2.setNumThreads(threads)
    ours, plain, theirs = seconds["ours"], seconds["plain"], seconds.get("theirs")
    outlines = traced(masks, boxes)
    ious, ratios, intact, points = quality(masks, outlines)
    what = f"{MASKS} masks of {SIDE} px with their boxes, one thread, best of {ROUNDS} rounds in turns, memory settled"
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


def contours(masks: list[NDArray[np.bool_]]) -> list[Any]:
    """OpenCV's contours of whole pictures."""
    return [cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE) for mask in masks]


def supervision_run(masks: list[NDArray[np.bool_]]) -> tuple[str, Callable[[], object] | None]:
    """What it is called, and how it traces all masks; ``None`` when it is not installed."""
    try:
        import supervision
    except ImportError:
        return "supervision.mask_to_polygons (not installed)", None
    name = f"supervision {supervision.__version__} mask_to_polygons"
    return name, lambda: [supervision.mask_to_polygons(mask) for mask in masks]


def settle_memory() -> None:
    """Let the C library keep what is freed: glibc does so for blocks below the largest it has seen freed."""
    block = np.ones(KEPT_BYTES, np.uint8)
    del block


def best(sides: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of each side's quickest round; the sides take turns."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(ROUNDS):
        for side, run in sides.items():
            started = time.perf_counter()
            run()
            times[side].append(time.perf_counter() - started)
    return {side: min(taken) for side, taken in times.items()}
