"""ONNX Runtime."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.engines.protocol import EngineError


class OnnxEngine:
    """A model in ONNX with one image input; see :class:`inference.engines.protocol.Engine`."""

    name = "onnxruntime"

    def __init__(self, weights: bytes, *, threads: int = 0) -> None:
        """Keep the weights; nothing is loaded yet. ``threads``: CPU threads of one call, 0 = all cores."""
        self.device = "cpu"
        self.input_shape: tuple[int | None, ...] = ()
        self.batch_limit: int | None = None
        self._weights, self._threads = weights, threads
        self._session: Any = None
        self._lock = threading.Lock()

    def load(self) -> None:
        """Make the session."""
        with self._lock:
            if self._session is None:
                self._session = self._open()

    def unload(self) -> None:
        """Drop the session."""
        with self._lock:
            self._session = None

    def predict(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """All outputs for a batch ``(N, C, H, W)``."""
        self.load()
        session = self._session
        size = self.batch_limit or len(batch)
        parts = [self._run(session, batch[start : start + size]) for start in range(0, len(batch), size)]
        return parts[0] if len(parts) == 1 else tuple(np.concatenate(out) for out in zip(*parts, strict=True))

    def _open(self) -> Any:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads or os.cpu_count() or 1
        try:
            session = ort.InferenceSession(self._weights, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no public base class for a file it cannot read
            raise EngineError(f"the weights are no model that ONNX Runtime can read: {error}") from error
        declared = session.get_inputs()
        if len(declared) != 1:
            raise EngineError(f"the model has {len(declared)} inputs; one input with pictures is expected")
        self.input_shape = tuple(size if isinstance(size, int) else None for size in declared[0].shape)
        self.batch_limit = self.input_shape[0] if self.input_shape else None
        return session

    def _run(self, session: Any, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        try:
            return tuple(session.run(None, {session.get_inputs()[0].name: batch}))
        except Exception as error:  # as above
            raise EngineError(f"a batch of shape {batch.shape} could not be run: {error}") from error
