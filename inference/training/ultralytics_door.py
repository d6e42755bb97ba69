"""The one way to ultralytics for training: imported late, offline, and with torchvision's gap on CPU closed."""

from __future__ import annotations

import os
from typing import Any

from inference.engines.torchvision_shim import import_torchvision


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
        import torch  # noqa: F401 - the first thing that is missed

        import_torchvision()
        from ultralytics import YOLO
    except ImportError as error:
        raise MissingExtraError(
            f"training needs torch and ultralytics ({error.name} is missing): pip install 'reefline[torch]'"
        ) from error
    return YOLO
