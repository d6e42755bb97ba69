"""What goes into the runner and what comes out, and the reasons people read."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.decode import UndecodableImage, decode
from inference.engines import Engine, EngineError

logger = logging.getLogger("reefline.runner")

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
IMAGE_AXES = 3


class Task(Protocol[R_co]):
    """One way of seeing: what the engine gets of a picture, and what its outputs mean. Called by several threads."""

    @property
    def engine(self) -> Engine:
        """What runs the model."""

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """Views or tiles ``(k, C, H, W)`` of a picture, uint8 RGB ``(height, width, 3)``; all of one shape, k >= 1."""

    def finish(self, image: NDArray[np.uint8], outputs: tuple[NDArray[Any], ...]) -> R_co:
        """The result, from the engine's outputs for exactly these views; each output's first axis is k."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to be looked at. ``read`` gives its encoded bytes and is called in a worker thread."""

    key: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """What became of a picture: a result, or the reason why there is none. ``seconds``: of work, without waiting."""

    key: str
    result: R | None = None
    reason: str | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there is a result."""
        return self.reason is None


class RefusedPictureError(ValueError):
    """A picture that cannot be handled here; the message is the reason."""


def decode_rgb(data: bytes) -> NDArray[np.uint8]:
    """A photo as uint8 RGB, upright."""
    return decode(data).image


def decoded_bytes(data: bytes) -> int:
    """Bytes of the decoded picture by its header, 0 when the header cannot be read (decoding will say why).

    Raises:
        RefusedPictureError: the header claims more than Pillow's limit of 179 million pixels.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.width * picture.height * IMAGE_AXES
    except Image.DecompressionBombError as error:
        raise RefusedPictureError(f"the header claims more pixels than any photo has ({error})") from error
    except Exception as error:  # whatever a damaged header makes Pillow raise
        logger.debug("no header: %s", error)
        return 0


def refuse_if_too_large(size: int, budget: int) -> None:
    """Refuse a picture that alone is more than the budget.

    Raises:
        RefusedPictureError: it is.
    """
    if size > budget:
        raise RefusedPictureError(
            f"the picture has {size / IMAGE_AXES / 1e6:.0f} million pixels and needs {size / 2**20:.0f} MB when "
            f"decoded, more than the {budget / 2**20:.0f} MB that one run may hold: deliver it smaller, or cut it"
        )


def checked_views(views: NDArray[Any]) -> NDArray[Any]:
    """Views as the engine can take them.

    Raises:
        TypeError: the task made something else.
    """
    if views.ndim != 4 or not len(views):
        raise TypeError(f"prepare() made an array of shape {views.shape}; (k, C, H, W) with k >= 1 is expected")
    return views


def reason_of(error: Exception, key: str) -> str:
    """What a person reads about a failed picture; what nobody foresaw goes to the log with its traceback."""
    if isinstance(error, (RefusedPictureError, UndecodableImage, EngineError)):
        return str(error)
    if isinstance(error, MemoryError):
        return "the picture does not fit into memory: deliver it smaller"
    if isinstance(error, ValueError):
        return str(error) or type(error).__name__
    logger.error("%s failed", key, exc_info=error)
    return f"unexpected {type(error).__name__}: {error}"
