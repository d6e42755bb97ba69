"""torch: TorchScript files, and ultralytics' ``.pt`` files when they are trusted. ``pip install 'reefline[torch]'``.

A ``.pt`` of ultralytics is a pickle: opening it runs whatever code its maker put in. It is opened only when its card
says ``trusted``; TorchScript holds no Python and is always fine.
"""

from __future__ import annotations

import io
import pickle
import threading
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.engines import devices
from inference.engines.errors import EngineError, sorted_error

EXPORT_INSTEAD = "export it to ONNX or TorchScript"


class TorchBackend:
    """Models of torch. ``half`` works on GPUs."""

    name, side_by_side = "torch", False

    def __init__(self, *, trusted: bool = False) -> None:
        """``trusted``: pickles of this card may be opened."""
        self.trusted = trusted

    def devices(self) -> list[str]:
        """CUDA cards, then the processor."""
        torch = _torch()
        return [*(f"cuda:{number}" for number in range(torch.cuda.device_count())), devices.CPU]

    def open(self, weights: bytes, device: str, *, threads: int, calls: int, half: bool) -> TorchSession:
        """Load the module and move it to the device."""
        torch = _torch()
        if threads:
            torch.set_num_threads(threads)  # of the whole process: torch has no other measure
        try:
            module = read_module(weights, trusted=self.trusted)
            half = half and device != devices.CPU
            module = module.half() if half else module.float()
            return TorchSession(module.to(device).eval(), device, half=half)
        except EngineError:
            raise
        except Exception as error:  # zip, unpickling and CUDA errors
            raise sorted_error(error, "the weights are no model that torch can read") from error


def read_module(weights: bytes, *, trusted: bool) -> Any:
    """The module in a file.

    Raises:
        EngineError: a pickle that is not trusted; bare weights without the network they belong to.
    """
    torch = _torch()
    if _is_torchscript(weights):
        return torch.jit.load(io.BytesIO(weights), map_location="cpu")
    try:
        held = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not trusted:
            raise EngineError(
                "the file is a pickle that runs code when it is opened: mark the model 'trusted' if you know who made "
                f"it, or {EXPORT_INSTEAD}"
            ) from error
        from inference.engines.torchvision_shim import import_torchvision

        import_torchvision()
        held = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=False)
    module = (held.get("ema") or held.get("model")) if isinstance(held, dict) else held
    if not isinstance(module, torch.nn.Module):
        raise EngineError(f"the file holds weights without the network they belong to: {EXPORT_INSTEAD}")
    return _plain(module)


def _plain(module: Any) -> Any:
    """An ultralytics network as its own export would have it: fused, and with the outputs of its ONNX file."""
    module = module.float()
    if hasattr(module, "fuse"):
        module = module.fuse(verbose=False)
    for layer in module.modules():
        if hasattr(layer, "export") and hasattr(layer, "format"):
            layer.export, layer.format, layer.dynamic = True, "onnx", True
    return module


def _is_torchscript(weights: bytes) -> bool:
    try:
        names = zipfile.ZipFile(io.BytesIO(weights)).namelist()
    except zipfile.BadZipFile as error:
        raise EngineError(f"the weights are no model that torch can read: {error}; fetch the file again") from error
    return any("/code/" in name for name in names)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise EngineError("this model wants torch: pip install 'reefline[torch]'") from error
    return torch


class TorchSession:
    """See :class:`inference.engines.protocol.Session`."""

    def __init__(self, module: Any, device: str, *, half: bool) -> None:
        """Wrap a module that is on its device."""
        self.input_shape: tuple[int | None, ...] = (None, None, None, None)
        self.input_dtype: Any = np.float16 if half else np.float32
        self._module, self._device = module, device
        self._lock = threading.Lock()

    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """All outputs of one call, nested ones in their order."""
        torch = _torch()
        # One call at a time: ultralytics' heads keep anchors of the last size in the module.
        with self._lock, torch.inference_mode():
            outputs = self._module(torch.from_numpy(batch).to(self._device))
            return tuple(tensor.detach().cpu().numpy() for tensor in _tensors(outputs))

    def close(self) -> None:
        """Drop the module and torch's cached memory on the card."""
        self._module = None
        if self._device != devices.CPU:
            _torch().cuda.empty_cache()


def _tensors(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for item in value for tensor in _tensors(item)] if isinstance(value, (list, tuple)) else [value]
