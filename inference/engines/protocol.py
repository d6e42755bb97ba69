"""What every engine offers, and nothing about how."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray


class EngineError(RuntimeError):
    """A model cannot be loaded or run; the message says why and what to do."""


class Engine(Protocol):
    """A model's numbers: arrays in, arrays out. Thread-safe; costs nothing until ``load`` or the first ``predict``.

    Attributes:
        name: of the engine, as in model cards.
        device: where it runs, for example ``cpu`` or ``cuda:0``; known after ``load``.
        input_shape: ``(N, C, H, W)`` as the model declares it, None where any size goes; known after ``load``.
        batch_limit: most pictures of one call; None = no limit but memory.
    """

    name: str
    device: str
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

        A batch over ``batch_limit`` is run in parts.

        Raises:
            EngineError: the batch does not fit the model, or the device is gone.
        """
