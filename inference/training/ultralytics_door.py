"""The one way to ultralytics: imported late, offline, and with torchvision's gap on CPU closed."""

from __future__ import annotations

import os
from typing import Any

_KEPT: list[Any] = []


class MissingExtraError(RuntimeError):
    """torch or ultralytics is not installed; the message says how to install them."""


def yolo_class() -> Any:
    """``ultralytics.YOLO``.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    os.environ.setdefault("YOLO_OFFLINE", "true")  # no look for news, fonts or weights
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    try:
        import torch

        _close_the_gap(torch)
        from ultralytics import YOLO
    except ImportError as error:
        raise MissingExtraError(
            f"training needs torch and ultralytics ({error.name} is missing): pip install 'reefline[torch]'"
        ) from error
    return YOLO


def _close_the_gap(torch: Any) -> None:
    """Wheels of torchvision link CUDA; beside a CPU torch its operators are missing, and so its import fails.

    The operators' schemas are all that the import needs; ultralytics has a suppression in plain torch to stand in.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        _KEPT.append(library)  # the operators live as long as this object
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
        from ultralytics.utils.nms import TorchNMS

        torchvision.ops.nms = TorchNMS.nms
