"""What can go wrong in an engine, and how a library's own words are sorted into it."""

from __future__ import annotations

import re


class EngineError(RuntimeError):
    """A model cannot be loaded or run; the message says why and what to do."""


class OutOfMemoryError(EngineError):
    """The device's memory does not hold what was asked for."""


class DeviceLostError(EngineError):
    """The device does not answer any more: pulled out, reset, or its driver died."""


# The libraries raise RuntimeError (or their own Fail) for everything; only the text tells. Messages of ONNX Runtime,
# CUDA, cuDNN, cuBLAS, torch and OpenVINO.
_MEMORY = re.compile(
    r"out of memory|failed to allocate|bad[_ ]alloc|ALLOC_FAILED|cannot allocate memory|std::bad_alloc|OUT_OF_MEMORY"
    r"|OUT_OF_HOST_MEMORY|can't allocate|CUDA failure 2:",
    re.IGNORECASE,
)
_LOST = re.compile(
    r"no CUDA-capable device|CUDA failure (?:46|100|101|214|219|220|700|719|999)\b|device[- ]lost|device has been lost"
    r"|device removed|fallen off the bus|unspecified launch failure|uncorrectable ECC|busy or unavailable"
    r"|illegal memory access|CL_DEVICE_NOT_AVAILABLE|driver shutting down|invalid device ordinal"
    r"|unknown error.*CUDA|CUDA.*unknown error",
    re.IGNORECASE,
)


def sorted_error(error: Exception, doing: str) -> EngineError:
    """A library's error as one of ours.

    Args:
        error: whatever was raised.
        doing: what was tried, the beginning of the message.
    """
    text = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, EngineError):
        return error
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or _MEMORY.search(text):
        return OutOfMemoryError(f"{doing}: not enough memory ({text})")
    if _LOST.search(text):
        return DeviceLostError(f"{doing}: the device does not answer any more ({text})")
    return EngineError(f"{doing}: {text}")
