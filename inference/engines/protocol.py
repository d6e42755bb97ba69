"""What every engine offers, and nothing about how; and what a library has to offer to become one."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from inference.engines.errors import DeviceLostError, EngineError, OutOfMemoryError

__all__ = ["Backend", "DeviceLostError", "Engine", "EngineError", "OutOfMemoryError", "Session"]


class Engine(Protocol):
    """A model's numbers: arrays in, arrays out. Thread-safe; costs nothing until ``load`` or the first ``predict``.

    Attributes:
        name: of the engine, as in model cards.
        device: where it runs, for example ``cpu`` or ``cuda:0``; known after ``load``, and another one after the
            device vanished.
        input_shape: ``(N, C, H, W)`` as the model declares it, None where any size goes; known after ``load``.
        batch_limit: most pictures of one call; None = no limit but memory.
        threads: CPU threads it may use; 0 = all cores. Calls at a time beyond ``calls`` may take more.
        calls: at a time that it is made for.
    """

    name: str
    device: str
    threads: int
    calls: int
    input_shape: tuple[int | None, ...]
    batch_limit: int | None

    def load(self) -> None:
        """Make it ready to run; nothing when it is.

        Raises:
            EngineError: the weights cannot be used here.
        """

    def unload(self) -> None:
        """Give its memory back; the next ``predict`` loads again."""

    def predict(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """The outputs, in the model's own order, for a batch ``(N, C, H, W)``; each output's first axis is N too.

        A batch over ``batch_limit`` is run in parts; one that does not fit into memory too. N may be 0.

        Raises:
            EngineError: the batch does not fit the model, or the device is gone.
        """

    def for_batches(self) -> Engine:
        """The same model for many calls where only their number a second counts.

        On a processor another engine, with ``calls`` > 1: calls at a time share the threads. One call takes longer
        there, but no thread waits for another one at every layer, so all of them together are done sooner. Itself on
        a GPU, where there is one thread only, and where the library runs one call at a time anyway.
        """

    def best_batch(self, view: tuple[int, ...]) -> int:
        """How many views of shape ``(C, H, W)`` a call should hold to be fast, as far as is known now."""


class Session(Protocol):
    """A model loaded on a device by one library. ``run`` may be called by several threads at once.

    Attributes:
        input_shape: as in :class:`Engine`.
        input_dtype: what the model declares: float32, float16 or uint8.
    """

    input_shape: tuple[int | None, ...]
    input_dtype: Any

    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """All outputs of one call. Raises whatever the library raises."""

    def close(self) -> None:
        """Give memory back."""


class Backend(Protocol):
    """A library that runs models.

    Attributes:
        name: as in model cards.
        side_by_side: whether calls of one session run at the same time on a processor.
    """

    name: str
    side_by_side: bool

    def devices(self) -> list[str]:
        """Devices that can be used here, best first; the last one is ``cpu``."""

    def open(self, weights: bytes, device: str, *, threads: int, calls: int, half: bool) -> Session:
        """Load a model.

        Args:
            weights: the file's bytes.
            device: where to.
            threads: CPU threads that ``calls`` calls at a time may use together; 0 = all cores.
            calls: at a time that it should be fast for.
            half: in half precision where the device has it.

        Raises:
            EngineError: the weights are no model of this library; the device is not there.
        """
