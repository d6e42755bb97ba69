"""YOLO-seg models in ONNX, as ultralytics exports them: boxes, scores and mask coefficients, and mask prototypes.

Two layouts are read. Up to YOLO11: ``(N, 4 + classes + 32, anchors)`` with centre, width and height, to be thinned out
here. End to end (YOLO26): ``(N, most, 6 + 32)`` with corners, score and class, already thinned out. In both a colony's
mask is where its coefficients times the prototypes ``(N, 32, h, w)`` are positive, inside its box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.engines import EngineError
from inference.segmentation.pieces import Piece, piece_of
from inference.segmentation.segmenter import Segmenter

MOST_CANDIDATES = 2000
MOST_COLONIES = 500
"""Of one tile."""
AROUND = 2
"""Prototype pixels taken around a box, so that interpolation at its edge is right."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Detections of one look: corners ``(n, 4)`` in pixels of the tile, scores, classes, coefficients."""

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]
    coefficients: Floats


class YoloSegmenter(Segmenter):
    """A YOLO-seg model; see the module."""

    def decode(self, outputs: tuple[NDArray[Any], ...], width: int, height: int, least: float) -> list[Piece]:
        """See :class:`Segmenter`. A colony has one taxon: overlapping proposals of two taxa are one, the surer."""
        detections, protos = self._outputs(outputs)
        looks = [self._candidates(detections[i], protos.shape[1]) for i in range(len(detections))]
        boxes = [look.boxes for look in looks]
        if len(boxes) > 1:  # mirrored back
            boxes[1] = _mirrored(boxes[1], self.input_px)
        look_of = np.repeat(np.arange(len(looks)), [len(one.scores) for one in looks])
        every = np.concatenate([look.scores for look in looks])
        joined = np.clip(np.concatenate(boxes), 0, np.array([width, height] * 2, np.float32))
        within = np.cumsum(np.r_[0, [len(one.scores) for one in looks]])
        found = []
        for i in thinned(joined, every, self.options.iou, MOST_COLONIES):
            look, nth = looks[look_of[i]], i - within[look_of[i]]
            taxon = self.taxon_of[look.classes[nth]]
            if taxon is None:
                continue
            planes = protos[look_of[i]][:, :, ::-1] if look_of[i] else protos[0]
            mask, left, top = box_mask(planes, look.coefficients[nth], joined[i], self.input_px)
            piece = piece_of(mask, left, top, taxon, float(every[i])) if mask.size else None
            if piece is not None and piece.area >= least:
                found.append(piece)
        return found

    def _outputs(self, outputs: tuple[NDArray[Any], ...]) -> tuple[Floats, Floats]:
        flat = [output for output in outputs if output.ndim == 3]
        planes = [output for output in outputs if output.ndim == 4]
        if len(flat) != 1 or len(planes) != 1:
            shapes = ", ".join(str(output.shape) for output in outputs)
            raise EngineError(f"model {self.reference} is no YOLO-seg export: its outputs are {shapes}")
        return flat[0].astype(np.float32), planes[0].astype(np.float32)

    def _candidates(self, detections: Floats, coefficients: int) -> Candidates:
        labels = len(self.labels)
        if detections.shape[1] == 6 + coefficients:
            scores, classes = detections[:, 4], detections[:, 5].round().astype(np.int64)
            keep = np.flatnonzero(scores >= self.options.min_score)
            if len(keep) and classes[keep].max() >= labels:
                raise self._misfit(int(classes[keep].max()) + 1)
            return Candidates(detections[keep, :4], scores[keep], classes[keep], detections[keep, 6:])
        if detections.shape[0] != 4 + labels + coefficients:
            raise self._misfit(detections.shape[0] - 4 - coefficients)
        every = detections[4 : 4 + labels]
        classes, scores = every.argmax(axis=0), every.max(axis=0)
        keep = np.flatnonzero(scores >= self.options.min_score)
        keep = keep[np.argsort(-scores[keep], kind="stable")][:MOST_CANDIDATES]
        x, y, width, height = detections[:4, keep]
        boxes = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)
        return Candidates(boxes, scores[keep], classes[keep], detections[4 + labels :, keep].T)

    def _misfit(self, classes: int) -> EngineError:
        return EngineError(
            f"model {self.reference} tells {classes} classes apart, its card lists {len(self.labels)} labels: correct "
            "the labels in models.yaml"
        )


def _mirrored(boxes: Floats, side: int) -> Floats:
    flipped = boxes.copy()
    flipped[:, 0], flipped[:, 2] = side - boxes[:, 2], side - boxes[:, 0]
    return flipped


def thinned(boxes: Floats, scores: Floats, iou: float, most: int) -> list[int]:
    """Indices of the boxes that stay, surest first: each drops those that overlap it by more than ``iou``.

    Args:
        boxes: ``(n, 4)`` left, top, right, bottom.
        scores: ``(n,)``.
        iou: 0 to 1.
        most: as many stay at most.
    """
    order = np.argsort(-scores, kind="stable")
    areas = np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)
    stay: list[int] = []
    while len(order) and len(stay) < most:
        best, order = int(order[0]), order[1:]
        stay.append(best)
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        common = np.maximum(high - low, 0).prod(axis=1)
        joint = np.maximum(areas[best] + areas[order] - common, 1e-9)
        order = order[common <= iou * joint]
    return stay


def box_mask(protos: Floats, coefficients: Floats, box: Floats, side: int) -> tuple[NDArray[np.uint8], int, int]:
    """The mask inside a box, in pixels of the tile, and its left and top; only the box is computed.

    Args:
        protos: ``(32, h, w)``.
        coefficients: ``(32,)``.
        box: left, top, right, bottom in pixels of the tile.
        side: of the tile.
    """
    rows, columns = protos.shape[1:]
    step_x, step_y = side // columns, side // rows
    left, top, right, bottom = (round(float(v)) for v in box)
    if right <= left or bottom <= top:
        return np.zeros((0, 0), np.uint8), left, top
    x0, y0 = max(0, left // step_x - AROUND), max(0, top // step_y - AROUND)
    x1, y1 = min(columns, -(-right // step_x) + AROUND), min(rows, -(-bottom // step_y) + AROUND)
    logits = np.tensordot(coefficients, protos[:, y0:y1, x0:x1], axes=1)
    size = ((x1 - x0) * step_x, (y1 - y0) * step_y)
    fine = cv2.resize(np.ascontiguousarray(logits), size, interpolation=cv2.INTER_LINEAR)
    cut = fine[top - y0 * step_y : bottom - y0 * step_y, left - x0 * step_x : right - x0 * step_x]
    return (cut > 0).astype(np.uint8), left, top
