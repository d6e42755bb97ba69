"""A YOLO-seg model asked through ultralytics' own runner: the reference way, for measuring; needs the torch extra."""

from __future__ import annotations

import tempfile
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


class YoloPredictor:
    """A YOLO-seg model in ONNX: a clean picture, uint8 RGB ``(H, W, 3)``, to its colonies, best first."""

    def __init__(self, card: ModelCard, weights: bytes) -> None:
        """Open the model.

        Raises:
            MissingExtraError: torch or ultralytics is not installed.
        """
        yolo = yolo_class()
        self.card = card
        self._folder = tempfile.TemporaryDirectory(prefix="reefline-")  # ultralytics opens files only
        path = Path(self._folder.name) / "model.onnx"
        path.write_bytes(weights)
        self._model = yolo(str(path), task="segment")

    def __call__(self, image: NDArray[np.uint8]) -> list[Instance]:
        """The colonies of a picture, in its pixels."""
        bgr = np.ascontiguousarray(image[..., ::-1])
        side = self.card.input_px
        found = self._model.predict(
            bgr, imgsz=side, conf=MIN_SCORE, retina_masks=True, device="cpu", verbose=False, save=False
        )[0]
        if found.masks is None:
            return []
        least = MIN_AREA_SHARE * image.shape[0] * image.shape[1]
        instances = []
        for mask, box in zip(found.masks.data.numpy(), found.boxes, strict=True):
            for outline in mask_to_polygons((mask > 0).astype(np.uint8), min_area_px=least)[:1]:
                label = self.card.labels[int(box.cls)]
                instances.append(Instance(label, outline.ring, list(outline.holes), float(box.conf)))
        return sorted(instances, key=lambda instance: -instance.score)
