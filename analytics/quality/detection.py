"""Measures of detection that CVAT has not: COCO's average precision, panoptic quality, boundary IoU, cover error."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from faster_coco_eval.core import mask as coco_mask
from numpy.typing import NDArray

from analytics.quality.overlap import outline_iou, outlines_of
from analytics.quality.pictures import OUTLINES
from analytics.quality.runs import Runs, areas, runs_of
from labels.schema import Shape

BOUNDARY_SHARE = 0.02
"""Width of the boundary, as a share of the picture's diagonal (Cheng et al. 2021, "Boundary IoU")."""
PANOPTIC_IOU = 0.5
"""Pairs above it are unique (Kirillov et al. 2019, "Panoptic Segmentation")."""


def average_precision(
    proposed: Iterable[Shape], reviewed: Iterable[Shape], labels: Sequence[str], sizes: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    """COCO's mask average precision by faster-coco-eval.

    Args:
        proposed: with scores; a shape without one counts as sure (1.0).
        reviewed: the truth.
        sizes: ``image_id -> (width, height)`` of all pictures.

    Returns:
        ``AP`` (mean over IoU 0.5..0.95), ``AP50``, ``AP75``, and ``per_label`` with the same three for every label
        that occurs in the truth; all None when the truth is empty.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    numbers = {image_id: i + 1 for i, image_id in enumerate(sizes)}
    truth = _annotations(reviewed, labels, sizes, numbers, scored=False)
    found = _annotations(proposed, labels, sizes, numbers, scored=True)
    if not truth:
        return {"AP": None, "AP50": None, "AP75": None, "per_label": {}}
    images = [{"id": number, "width": sizes[i][0], "height": sizes[i][1]} for i, number in numbers.items()]
    categories = [{"id": k + 1, "name": label} for k, label in enumerate(labels)]
    gt = COCO({"images": images, "categories": categories, "annotations": truth})
    # The library refuses an empty list of detections; a set without annotations says the same.
    dt = gt.loadRes(found) if found else COCO({"images": images, "categories": categories, "annotations": []})
    run = COCOeval_faster(gt, dt, iouType="segm")
    run.evaluate()
    run.accumulate()
    # precision[IoU, recall, category, area=all, most=100]; -1 where a category has no truth
    precision = np.asarray(run.eval["precision"])[:, :, :, 0, -1]
    occurring = [k for k in range(len(labels)) if any(a["category_id"] == k + 1 for a in truth)]
    return {
        **_precisions(precision[:, :, occurring]),
        "per_label": {labels[k]: _precisions(precision[:, :, [k]]) for k in occurring},
    }


def panoptic_quality(
    ds: Iterable[Shape], gt: Iterable[Shape], labels: Sequence[str], sizes: Mapping[str, tuple[int, int]]
) -> dict[str, dict[str, float]]:
    """Panoptic quality per label: ``pq = sq * rq``; segmentation quality, recognition quality, and the counts.

    Where outlines of one side overlap, both keep the common ground: label tables are no partition of the picture.
    """
    sums: dict[str, NDArray[np.float64]] = {label: np.zeros(4) for label in labels}  # IoU sum, TP, FP, FN
    mine, theirs = _grouped(ds), _grouped(gt)
    for image_id, size in sizes.items():
        one, other = mine[image_id], theirs[image_id]
        every = outline_iou(outlines_of([*one, *other], *size), len(one))
        for label in labels:
            a, b = ([k for k, s in enumerate(side) if s.label == label] for side in (one, other))
            if not a and not b:
                continue
            ious = every[np.ix_(a, b)]
            hits = ious > PANOPTIC_IOU
            matched = int(hits.any(axis=1).sum())
            sums[label] += [float(ious[hits].sum()), matched, len(a) - matched, len(b) - matched]
    return {label: _panoptic(*values) for label, values in sums.items() if values[1:].any()}


def boundary_iou(one: Runs, other: Runs, width_px: float | None = None) -> float:
    """IoU of both masks' boundaries, inwards ``width_px`` wide (default: 2 % of the picture's diagonal)."""
    height, width = one["size"]
    reach = max(1, round(width_px if width_px is not None else BOUNDARY_SHARE * float(np.hypot(width, height))))
    edges = [_boundary(np.asarray(coco_mask.decode(runs), np.uint8), reach) for runs in (one, other)]
    union = int((edges[0] | edges[1]).sum())
    return float((edges[0] & edges[1]).sum() / union) if union else 1.0


def cover_error(
    proposed: Iterable[Shape], reviewed: Iterable[Shape], labels: Sequence[str], sizes: Mapping[str, tuple[int, int]]
) -> dict[str, dict[str, float]]:
    """How wrong cover would have been without review: per label the mean error and the mean absolute error.

    Shares of the picture (0..1) per picture, averaged over all pictures. Masks are painted over each other, so ground
    under two outlines of one label counts once.
    """
    return {
        label: {"bias": float(np.mean(values)), "mean_absolute": float(np.mean(np.abs(values)))}
        for label, values in cover_differences(proposed, reviewed, labels, sizes).items()
    }


def cover_differences(
    one: Iterable[Shape], other: Iterable[Shape], labels: Sequence[str], sizes: Mapping[str, tuple[int, int]]
) -> dict[str, list[float]]:
    """By label, cover of the one side minus cover of the other, a value per picture (share of the picture)."""
    mine, theirs = _grouped(one), _grouped(other)
    differences: dict[str, list[float]] = defaultdict(list)
    for image_id, size in sizes.items():
        for label in labels:
            shares = [_share([s for s in side[image_id] if s.label == label], size) for side in (mine, theirs)]
            differences[label].append(shares[0] - shares[1])
    return differences


def _share(shapes: Sequence[Shape], size: tuple[int, int]) -> float:
    if not shapes:
        return 0.0
    return float(areas([coco_mask.merge(runs_of(shapes, *size))])[0]) / (size[0] * size[1])


def _boundary(mask: NDArray[np.uint8], reach: int) -> NDArray[np.bool_]:
    # A border of nothing around the picture: an object cut off by it has its edge there, too.
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=reach)
    return (mask > 0) & (inner[1:-1, 1:-1] == 0)


def _annotations(
    shapes: Iterable[Shape],
    labels: Sequence[str],
    sizes: Mapping[str, tuple[int, int]],
    numbers: Mapping[str, int],
    *,
    scored: bool,
) -> list[dict[str, Any]]:
    index = {label: k + 1 for k, label in enumerate(labels)}
    rows: list[dict[str, Any]] = []
    for image_id, own in _grouped(shapes).items():
        runs = runs_of(own, *sizes[image_id])
        for shape, run, area in zip(own, runs, areas(runs), strict=True):
            row = {"image_id": numbers[image_id], "category_id": index[shape.label], "segmentation": run}
            score = {"score": 1.0 if shape.score is None else float(shape.score)} if scored else {}
            box = [float(v) for v in coco_mask.toBbox([run])[0]]
            rows.append(row | score | {"id": len(rows) + 1, "area": float(area), "bbox": box, "iscrowd": 0})
    return rows


def _precisions(precision: NDArray[np.float64]) -> dict[str, float]:
    """Means over IoUs, recalls and labels; axes ``(10 IoUs, 101 recalls, labels)``."""
    return {
        "AP": float(precision[precision > -1].mean()),
        "AP50": float(precision[0][precision[0] > -1].mean()),
        "AP75": float(precision[5][precision[5] > -1].mean()),
    }


def _panoptic(total: float, true: float, false: float, missed: float) -> dict[str, float]:
    quality = total / true if true else 0.0
    recognised = true / (true + false / 2 + missed / 2)
    return {"pq": quality * recognised, "sq": quality, "rq": recognised, "tp": true, "fp": false, "fn": missed}


def _grouped(shapes: Iterable[Shape]) -> defaultdict[str, list[Shape]]:
    grouped: defaultdict[str, list[Shape]] = defaultdict(list)
    for shape in shapes:
        if shape.kind in OUTLINES:
            grouped[shape.image_id].append(shape)
    return grouped
