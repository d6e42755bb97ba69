"""A YOLO-seg model asked through ultralytics' own runner: the reference way, for measuring; needs the torch extra."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.polygons import mask_to_polygons
from inference.registry import ModelCard
from inference.segmentation import Instance
from inference.training.ultralytics_door import yolo_class

MIN_SCORE = 0.05
"""Proposals below are not even measured: they would change average precision in the third digit."""
MIN_AREA_SHARE = 1.5e-4


def yolo_predictor(card: ModelCard, weights: bytes) -> Callable[[NDArray[np.uint8]], list[Instance]]:
    """The predictor of a YOLO-seg model in ONNX.

    Raises:
        MissingExtraError: torch or ultralytics is not installed.
    """
    yolo = yolo_class()
    folder = tempfile.TemporaryDirectory(prefix="reefline-")
    path = Path(folder.name) / "model.onnx"
    path.write_bytes(weights)
    model = yolo(str(path), task="segment")

    def predict(image: NDArray[np.uint8]) -> list[Instance]:
        bgr = np.ascontiguousarray(image[..., ::-1])
        found = model.predict(
            bgr, imgsz=card.input_px, conf=MIN_SCORE, retina_masks=True, device="cpu", verbose=False, save=False
        )[0]
        assert folder.name  # the file lives as long as the predictor
        if found.masks is None:
            return []
        least = MIN_AREA_SHARE * image.shape[0] * image.shape[1]
        instances = []
        for mask, box in zip(found.masks.data.numpy(), found.boxes, strict=True):
            for outline in mask_to_polygons((mask > 0).astype(np.uint8), min_area_px=least)[:1]:
                label = card.labels[int(box.cls)]
                instances.append(Instance(label, outline.ring, list(outline.holes), float(box.conf)))
        return sorted(instances, key=lambda instance: -instance.score)

    return predict
