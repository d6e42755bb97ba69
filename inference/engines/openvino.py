"""OpenVINO: Intel's engine, an extra (``pip install 'reefline[openvino]'``). Reads the same ONNX files.

Worth it on processors with bfloat16 (1.7 times ONNX Runtime's speed on YOLO26n-seg at 1024 to 1920 px, measured on 2
cores); on others both are about equally fast.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.engines import devices
from inference.engines.errors import EngineError, sorted_error


class OpenVinoBackend:
    """Models in ONNX. ``half`` means bfloat16 on processors that have it, float16 on Intel GPUs."""

    name, side_by_side = "openvino", True

    def devices(self) -> list[str]:
        """The processor first: an integrated GPU is used when asked for by name."""
        names = _core().available_devices
        return [devices.CPU, *(f"gpu:{name.partition('.')[2] or 0}" for name in names if name.startswith("GPU"))]

    def open(self, weights: bytes, device: str, *, threads: int, calls: int, half: bool) -> OpenVinoSession:
        """Compile the model."""
        core = _core()
        name = device.upper().replace(":", ".")
        able = core.get_property(name, "OPTIMIZATION_CAPABILITIES")
        precision = next((p for p in ("BF16", "FP16") if half and p in able), "FP32")
        # Without the hint, some processors take bfloat16 by themselves, and one model would give two results.
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY" if calls == 1 else "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": {"BF16": "bf16", "FP16": "f16", "FP32": "f32"}[precision],
        }
        if threads and device == devices.CPU:
            settings["INFERENCE_NUM_THREADS"] = threads
        if calls > 1:
            settings["NUM_STREAMS"] = str(calls)
        try:
            model = core.read_model(model=weights)
            compiled = core.compile_model(model, name, settings)
        except Exception as error:  # RuntimeError and its kin, depending on the front end
            raise sorted_error(error, "the weights are no model that OpenVINO can read") from error
        return OpenVinoSession(compiled)


def _core() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise EngineError("this model wants OpenVINO: pip install 'reefline[openvino]'") from error
    return openvino.Core()


class OpenVinoSession:
    """See :class:`inference.engines.protocol.Session`."""

    def __init__(self, compiled: Any) -> None:
        """Wrap a compiled model."""
        if len(compiled.inputs) != 1:
            raise EngineError(f"the model has {len(compiled.inputs)} inputs; one input with pictures is expected")
        shape = compiled.inputs[0].partial_shape
        self.input_shape: tuple[int | None, ...] = tuple(
            size.get_length() if size.is_static else None for size in shape
        )
        self.input_dtype: Any = np.dtype(compiled.inputs[0].element_type.to_dtype())
        self._requests: list[Any] = []
        self._compiled, self._lock = compiled, threading.Lock()

    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """All outputs of one call; a request serves one call at a time, so each thread takes its own."""
        with self._lock:
            request = self._requests.pop() if self._requests else self._compiled.create_infer_request()
        request.infer([batch])
        outputs = tuple(request.get_output_tensor(n).data.copy() for n in range(len(self._compiled.outputs)))
        with self._lock:
            self._requests.append(request)
        return outputs

    def close(self) -> None:
        """Drop the compiled model and its requests."""
        self._requests.clear()
        self._compiled = None
