"""Taking the strings out by one of four methods, and the proof that nothing else changed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.removal.errors import RemovalError
from inference.removal.lama import paint_lama
from inference.removal.learned import Predicts, paint_learned
from inference.removal.mask import Mask
from inference.removal.opencv import METHODS, paint_opencv

MODELS = {"telea": "opencv-telea@2", "ns": "opencv-ns@2"}
"""Methods without weights, and what is written as their model."""
LEARNED_MODEL = "string-painter"
NEED_MODEL = ("learned", "lama")


def remove(
    image: NDArray[np.uint8],
    mask: Mask,
    method: str = "telea",
    *,
    radius: int = 3,
    engine: Predicts | None = None,
) -> NDArray[np.uint8]:
    """The clean picture: pixels in the mask are painted, all others stay bit for bit.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        mask: what to paint; on its soft edge painted and photographed pixels are blended.
        method: ``telea`` or ``ns`` (OpenCV), ``learned``, ``lama``.
        radius: how far the OpenCV painters look, pixels.
        engine: of the model, for ``learned`` and ``lama``.

    Raises:
        ValueError: unknown method, no picture, mask and picture differ in size, or the mask leaves nothing to paint
            from.
        RemovalError: the method broke its promise and changed a pixel outside the mask.
    """
    _check(image, mask, method)
    hole = mask.alpha > 0
    if not hole.any():
        return image.copy()
    if method in METHODS:
        painted = paint_opencv(image, hole, method, radius)
    elif engine is None:
        raise ValueError(f"removal method {method!r} needs a model")
    else:
        painted = paint_learned(image, mask, engine) if method == "learned" else paint_lama(image, mask, engine)
    clean = _blended(image, painted, mask.alpha)
    _prove(image, clean, hole)
    return clean


def remove_lattice(
    rectified: NDArray[np.uint8], mask: NDArray[np.uint8], method: str = "telea", radius: int = 3
) -> NDArray[np.uint8]:
    """As :func:`remove` by a method without weights, for a plain mask ``(S, S)`` that is not zero where to paint."""
    if method not in MODELS:
        raise ValueError(f"no removal method {method!r}: use one of {', '.join(MODELS)}")
    return remove(rectified, Mask.of(mask), method, radius=radius)


def _check(image: NDArray[np.uint8], mask: Mask, method: str) -> None:
    if method not in (*MODELS, *NEED_MODEL):
        raise ValueError(f"no removal method {method!r}: use one of {', '.join((*MODELS, *NEED_MODEL))}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"strings are removed from RGB pictures (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if mask.alpha.shape != image.shape[:2]:
        raise ValueError(f"the mask is {mask.alpha.shape}, the picture {image.shape[:2]}: they must be the same size")
    if mask.alpha.size and (mask.alpha > 0).all():
        raise ValueError("the mask covers the whole picture: nothing is left to paint from; check nodes and width")


def _blended(image: NDArray[np.uint8], painted: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture outside the mask, the paint inside, both on the soft edge."""
    clean = image.copy()
    np.copyto(clean, painted, where=(alpha == 255)[..., None])
    edge = np.nonzero((alpha > 0) & (alpha < 255))
    share = alpha[edge].astype(np.float32)[:, None] / 255
    mixed = painted[edge].astype(np.float32) * share + image[edge] * (1 - share)
    clean[edge] = np.rint(mixed).astype(np.uint8)
    return clean


def _prove(image: NDArray[np.uint8], clean: NDArray[np.uint8], hole: NDArray[np.bool_]) -> None:
    difference = cv2.absdiff(image, clean)
    changed = np.count_nonzero(cv2.bitwise_and(difference, difference, mask=(~hole).astype(np.uint8)))
    if changed:
        raise RemovalError(f"{changed} values outside the mask were changed; the picture was not kept")
