"""What the runner knows of an engine's calls: how many at a time, what they need, what they may answer."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from inference.engines import Engine, EngineError
from inference.engines.devices import CPU

WORKING_FACTOR = 30
"""A call on a processor is taken to need this many times its views: 26 measured for demo-corals, 10 for YOLO26n-seg."""


def lanes_of(engine: Engine) -> int:
    """Calls of the engine at a time.

    On a processor as many as it is made for. On a GPU two: while one computes, the next one's pictures are put
    together and sent.
    """
    return engine.calls if engine.device == CPU else 2


def calls_ahead(engine: Engine, views: NDArray[Any]) -> int:
    """Pictures that are enough to be ready: for the next call of every lane. More would only hold memory."""
    return lanes_of(engine) * max(1, engine.best_batch(views.shape[1:]) // len(views))


def working_bytes(engine: Engine, views: list[NDArray[Any]]) -> int:
    """Bytes of main memory that a call is taken to need while it runs.

    Args:
        engine: runs it.
        views: of the pictures in the call, each ``(k, C, H, W)``, all of one ``(C, H, W)``.
    """
    if engine.device != CPU:
        return 0
    count = engine.batch_limit or min(sum(map(len, views)), engine.best_batch(views[0].shape[1:]))
    return WORKING_FACTOR * count * int(views[0][0].nbytes)


def check_outputs(outputs: tuple[NDArray[Any], ...], count: int) -> None:
    """Outputs of a call with ``count`` views.

    Raises:
        EngineError: they cannot be told apart by view.
    """
    wrong = [out.shape for out in outputs if out.ndim == 0 or len(out) != count]
    if wrong:
        raise EngineError(f"the model answers {count} pictures with outputs of shape {wrong[0]}: export it by batch")
