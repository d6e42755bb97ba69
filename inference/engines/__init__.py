"""Engines: what runs a model's numbers. One small protocol, one module per library.

Belongs here: loading weights, choosing a device, running a batch of arrays, sharing a device between models.
Stays out: what the numbers mean (pre- and post-processing live beside the task: corners, lattice, removal,
segmentation), and which weights to trust (``inference.registry``).
"""

from __future__ import annotations

from inference.engines.arbiter import set_memory_share
from inference.engines.devices import AUTO
from inference.engines.errors import DeviceLostError, EngineError, OutOfMemoryError
from inference.engines.managed import ManagedEngine
from inference.engines.protocol import Backend, Engine, Session

__all__ = [
    "ENGINES",
    "Backend",
    "DeviceLostError",
    "Engine",
    "EngineError",
    "ManagedEngine",
    "OutOfMemoryError",
    "Session",
    "open_engine",
    "set_default_device",
    "set_memory_share",
]

ENGINES = ("onnxruntime", "torch", "openvino")
"""Names a model card may state. OpenCV's methods have no weights: see :mod:`inference.engines.opencv`."""

_default = AUTO


def set_default_device(device: str) -> None:
    """The device of engines opened from now on without one of their own.

    Raises:
        EngineError: no such kind of device.
    """
    from inference.engines.devices import normal

    global _default  # noqa: PLW0603 - a setting of the installation, made once at its start
    _default = normal(device)


def open_engine(
    engine: str,
    weights: bytes,
    *,
    threads: int = 0,
    device: str | None = None,
    half: bool = False,
    trusted: bool = False,
) -> Engine:
    """The engine of this name for these weights; loaded on first use.

    Args:
        engine: one of ``ENGINES``.
        weights: the file's bytes, already verified by the registry.
        threads: CPU threads of one call; 0 = all cores.
        device: ``auto``, ``cpu``, ``cuda:N``, ``tensorrt:N`` (onnxruntime), ``gpu:N`` (openvino); the installation's
            when not given. ``auto`` takes a CUDA card where there is one, and falls back when it vanishes.
        half: half precision where the device has it (GPUs; bfloat16 by OpenVINO). Only for models measured so.
        trusted: torch may open a pickle, which runs the code in it.

    Raises:
        EngineError: there is no such engine or device.
    """
    return ManagedEngine(
        backend_of(engine, trusted=trusted), weights, device=device or _default, threads=threads, half=half
    )


def backend_of(engine: str, *, trusted: bool = False) -> Backend:
    """The library behind an engine's name; not imported before it is used.

    Raises:
        EngineError: there is no such engine.
    """
    if engine == "onnxruntime":
        from inference.engines.onnx import OnnxBackend

        return OnnxBackend()
    if engine == "torch":
        from inference.engines.torch import TorchBackend

        return TorchBackend(trusted=trusted)
    if engine == "openvino":
        from inference.engines.openvino import OpenVinoBackend

        return OpenVinoBackend()
    if engine == "opencv":
        raise EngineError("OpenCV's methods have no weights and need no engine: name the method in the survey file")
    raise EngineError(f"no engine {engine!r}: use one of {', '.join(ENGINES)}")
