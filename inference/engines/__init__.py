"""Engines: what runs a model's numbers. One small protocol, one module per engine.

Belongs here: loading weights, choosing a device, running a batch of arrays.
Stays out: what the numbers mean (pre- and post-processing live beside the task: corners, lattice, removal,
segmentation), and which weights to trust (``inference.registry``).
"""

from __future__ import annotations

from inference.engines.onnx import OnnxEngine
from inference.engines.protocol import Engine, EngineError

__all__ = ["ENGINES", "Engine", "EngineError", "OnnxEngine", "open_engine"]

ENGINES = ("onnxruntime",)
"""Names a model card may state."""


def open_engine(engine: str, weights: bytes, *, threads: int = 0) -> Engine:
    """The engine of this name for these weights; loaded on first use.

    Args:
        engine: one of ``ENGINES``.
        weights: the file's bytes, already verified by the registry.
        threads: CPU threads of one call; 0 = all cores.

    Raises:
        EngineError: there is no such engine.
    """
    if engine == "onnxruntime":
        return OnnxEngine(weights, threads=threads)
    raise EngineError(f"no engine {engine!r}: use one of {', '.join(ENGINES)}")
