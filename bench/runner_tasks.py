"""The models that the runner is measured with, as tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.engines import Engine, open_engine
from inference.planes import planes
from inference.registry import ModelRegistry
from inference.segmentation import Instance, Segmenter

YOLO_PX = 1920
COLONIES = 20


def plain(result: list[Instance] | list[NDArray[np.float64]]) -> list[dict[str, Any]]:
    """Outlines as the bridge's functions answered them: polygons in JSON."""
    named = [(i.label, i.ring) if isinstance(i, Instance) else ("coral", i) for i in result]
    return [{"label": label, "type": "polygon", "points": ring.ravel().tolist()} for label, ring in named]


class Yolo:
    """YOLO26n-seg at the size of rectified pictures; weights of chance, so the work is real, the colonies are not."""

    def __init__(self, engine: Engine) -> None:
        """Run ``engine``."""
        self.engine = engine

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The picture, ``(1, 3, s, s)`` of 0..1."""
        if image.shape[:2] != (YOLO_PX, YOLO_PX):
            image = cv2.resize(image, (YOLO_PX, YOLO_PX), interpolation=cv2.INTER_AREA)
        return planes(image)[None]

    def finish(self, image: NDArray[np.uint8], outputs: tuple[NDArray[np.float32], ...]) -> list[NDArray[np.float64]]:
        """Outlines of the best detections, in pixels of the picture."""
        found, prototypes = outputs[0][0], outputs[1][0]
        best = np.argpartition(found[4:-32].max(axis=0), -COLONIES)[-COLONIES:]
        masks = np.tensordot(found[-32:, best].T, prototypes, 1) > 0
        scale = image.shape[1] / masks.shape[2]
        rings = []
        for mask, (x, y, w, h) in zip(masks, found[:4, best].T / scale, strict=True):
            left, top = max(0, int(x - w / 2)), max(0, int(y - h / 2))
            crop = np.ascontiguousarray(mask[top : int(y + h / 2) + 1, left : int(x + w / 2) + 1], np.uint8)
            outlines = cv2.findContours(crop, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0] if crop.size else ()
            rings += [cv2.approxPolyDP(o, 1, True)[:, 0] * scale + (left * scale, top * scale) for o in outlines[:1]]
        return rings


def open_task(name: str, engine: str = "onnxruntime") -> Any:
    """``demo-corals``, or YOLO from the folder where :func:`make_yolo` left it."""
    if name == "demo-corals":
        return Segmenter.of(ModelRegistry().load("demo-corals"))
    file = Path(name) / ("yolo.pt" if engine == "torch" else "yolo.onnx")
    return Yolo(open_engine(engine, file.read_bytes(), trusted=True))


def make_yolo(folder: Path) -> bool:
    """Write YOLO26n-seg with weights of chance as ``.pt`` and ``.onnx``; False where ultralytics is not installed."""
    try:
        import torch

        from inference.engines.torchvision_shim import import_torchvision

        import_torchvision()
        from ultralytics import YOLO
    except ImportError:
        return False
    torch.manual_seed(0)
    model = YOLO("yolo26n-seg.yaml")
    torch.save({"model": model.model}, folder / "yolo.pt")
    YOLO(folder / "yolo.pt").export(format="onnx", imgsz=YOLO_PX, dynamic=True, simplify=False, opset=18, verbose=False)
    return True
