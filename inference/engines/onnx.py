"""ONNX Runtime: on the processor, and on NVIDIA cards where ``onnxruntime-gpu`` is installed instead."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.engines import devices
from inference.engines.arbiter import arbiter_of
from inference.engines.errors import EngineError, sorted_error

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class OnnxBackend:
    """Models in ONNX with one image input.

    ``half`` concerns TensorRT, which converts by itself; for CUDA's half precision export the model in float16.
    """

    name, side_by_side = "onnxruntime", True

    def devices(self) -> list[str]:
        """CUDA cards first, then TensorRT on them, then the processor."""
        import onnxruntime as ort

        built = ort.get_available_providers()
        cards = range(len(devices.cuda_memory()))
        gpus = [f"{kind}:{n}" for kind in ("cuda", "tensorrt") if PROVIDERS[kind] in built for n in cards]
        return [*gpus, devices.CPU]

    def open(self, weights: bytes, device: str, *, threads: int, calls: int, half: bool) -> OnnxSession:
        """Make a session."""
        import onnxruntime as ort

        options = ort.SessionOptions()
        # A call runs in its caller's thread and in the session's own ones; calls at a time share those.
        options.intra_op_num_threads = max(1, (threads or os.cpu_count() or 1) - calls + 1)
        providers = providers_for(device, half=half)
        try:
            session = ort.InferenceSession(weights, options, providers=providers)
        except Exception as error:  # ONNX Runtime has no public base class for a file it cannot read
            raise sorted_error(error, "the weights are no model that ONNX Runtime can read") from error
        got = session.get_providers()[0]
        if got != providers[0][0]:  # it falls back silently when CUDA's libraries do not load
            raise EngineError(
                f"ONNX Runtime could not start {providers[0][0]} on {device} and offers {got}: install the CUDA and "
                "cuDNN that this onnxruntime-gpu was built for, or use device 'cpu'"
            )
        return OnnxSession(session)


def providers_for(device: str, *, half: bool = False) -> list[tuple[str, dict[str, Any]]]:
    """ONNX Runtime's providers with their options for a device, best first."""
    kind, _, number = device.partition(":")
    cpu: tuple[str, dict[str, Any]] = (PROVIDERS["cpu"], {})
    if kind == devices.CPU:
        return [cpu]
    card = {"device_id": int(number or 0)}
    # Memory grows by what is asked for: doubling steps would take a card that several models share. At the limit a
    # call fails cleanly, and the batch is halved.
    memory = {"arena_extend_strategy": "kSameAsRequested", "gpu_mem_limit": arbiter_of(device).budget}
    cuda = (PROVIDERS["cuda"], {**card, **memory})
    if kind == "cuda":
        return [cuda, cpu]
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "reefline" / "tensorrt"
    cache.mkdir(parents=True, exist_ok=True)
    plan = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(cache), "trt_fp16_enable": half}
    return [(PROVIDERS["tensorrt"], {**card, **plan}), cuda, cpu]


class OnnxSession:
    """See :class:`inference.engines.protocol.Session`."""

    def __init__(self, session: Any) -> None:
        """Wrap an ``InferenceSession``.

        Raises:
            EngineError: its inputs are not one batch of pictures.
        """
        declared = session.get_inputs()
        if len(declared) != 1:
            raise EngineError(f"the model has {len(declared)} inputs; one input with pictures is expected")
        if declared[0].type not in _TYPES:
            raise EngineError(f"the model wants {declared[0].type}; use one of {', '.join(_TYPES)}")
        self.input_shape: tuple[int | None, ...] = tuple(
            size if isinstance(size, int) else None for size in declared[0].shape
        )
        self.input_dtype: Any = _TYPES[declared[0].type]
        self._name, self._session = declared[0].name, session

    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """All outputs of one call."""
        return tuple(self._session.run(None, {self._name: batch}))

    def close(self) -> None:
        """Drop the session; its memory goes with it."""
        self._session = None
