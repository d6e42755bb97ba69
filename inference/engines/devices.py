"""Which devices there are, how much memory they have, and which one a model gets.

Devices are named ``cpu``, ``cuda:N``, ``tensorrt:N`` (ONNX Runtime's TensorRT on card N) and ``gpu:N`` (OpenVINO).
"""

from __future__ import annotations

import ctypes
import functools
import re
import threading

import psutil

from inference.engines.errors import EngineError

AUTO = "auto"
CPU = "cpu"
_NAME = re.compile(r"^(auto|cpu|(cuda|tensorrt|gpu)(:\d+)?)$")
_lost: set[str] = set()
_lock = threading.Lock()


def normal(device: str) -> str:
    """A device's full name: ``cuda`` is ``cuda:0``.

    Raises:
        EngineError: no such kind of device.
    """
    name = device.strip().lower()
    if not _NAME.match(name):
        raise EngineError(f"device {device!r}: use auto, cpu, cuda:N, tensorrt:N or (OpenVINO) gpu:N")
    return name if ":" in name or name in (AUTO, CPU) else f"{name}:0"


def choose(wanted: str, present: list[str], engine: str) -> str:
    """The device to use.

    Args:
        wanted: ``auto`` takes the first of ``present`` that has not vanished; anything else is taken at its word.
        present: what the engine's library finds, best first.
        engine: its name, for the message.

    Raises:
        EngineError: the device that was asked for is not there.
    """
    wanted = normal(wanted)
    if wanted == AUTO:
        # TensorRT builds its plan for minutes at the first start: never without being asked.
        ready = [name for name in present if not name.startswith("tensorrt") and card(name) not in _lost]
        return ready[0] if ready else CPU
    if wanted in present:
        return wanted
    raise EngineError(f"{engine} finds no device {wanted!r} here (it finds: {', '.join(present)}); use one, or 'auto'")


def card(device: str) -> str:
    """The piece of hardware behind a device name: TensorRT and CUDA of one number are one card."""
    return device.replace("tensorrt:", "cuda:")


def lose(device: str) -> None:
    """Remember for this process that a device vanished: ``auto`` does not take it again."""
    with _lock:
        if device != CPU:
            _lost.add(card(device))


@functools.cache
def cuda_memory() -> tuple[int, ...]:
    """Bytes of memory of every NVIDIA card this process may use, in CUDA's order; empty without card or driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ()
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    found = []
    for number in range(count.value):
        handle, size = ctypes.c_int(), ctypes.c_size_t()
        driver.cuDeviceGet(ctypes.byref(handle), number)
        driver.cuDeviceTotalMem_v2(ctypes.byref(size), handle)
        found.append(int(size.value))
    return tuple(found)


def memory_of(device: str) -> int:
    """Bytes of memory of a device; the computer's own for ``cpu`` and for integrated GPUs."""
    kind, _, number = card(device).partition(":")
    cards = cuda_memory() if kind == "cuda" else ()
    return cards[int(number)] if number and int(number) < len(cards) else int(psutil.virtual_memory().total)
