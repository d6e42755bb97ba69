"""torchvision beside a CPU build of torch.

torchvision's wheels on PyPI link CUDA libraries, so with a CPU build of torch its operators do not load and its import
fails with "operator torchvision::nms does not exist"; ultralytics needs the import. The two operators are declared, the
import is made again, and non-maximum suppression is done by ultralytics' own in plain torch.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

_OPERATOR = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_lock = threading.Lock()
_declared: list[Any] = []  # torch forgets operators whose library object is gone


def import_torchvision() -> None:
    """Make ``import torchvision`` work; nothing where it does already, or where it is not installed."""
    with _lock:
        if _declared:
            return
        try:
            import torchvision  # noqa: F401
        except ImportError:
            return
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
            _import_again()


def _import_again() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(name + _OPERATOR)
    _declared.append(library)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    import torchvision
    from ultralytics.utils.nms import TorchNMS

    torchvision.ops.nms = TorchNMS.nms
