"""COCO run lengths: column by column, background first, packed into text as the COCO tools do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MORE, _SIGN, _BASE = 0x20, 0x10, 48


class RleError(ValueError):
    """The text is no run-length code of a mask of this size."""


def encode_rle(mask: NDArray[np.bool_]) -> str:
    """A boolean mask ``(H, W)`` as compressed COCO run lengths."""
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(np.int8))) if flat.size else np.array([], int)
    counts = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return pack_counts([int(c) for c in counts])


def decode_rle(text: str, height: int, width: int) -> NDArray[np.bool_]:
    """Compressed COCO run lengths as a boolean mask ``(H, W)``.

    Raises:
        RleError: the text does not fill a mask of this size.
    """
    counts = unpack_counts(text)
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise RleError(f"run lengths fill {sum(counts)} pixels, the mask has {height}x{width}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape((height, width), order="F")


def pack_counts(counts: list[int]) -> str:
    """Run lengths as text: differences to the count before last, 5 bits a character (``rleToString`` of cocoapi)."""
    text = []
    for i, count in enumerate(counts):
        value = count - counts[i - 2] if i > 2 else count
        while True:
            bits = value & 0x1F
            value >>= 5
            done = value == (-1 if bits & _SIGN else 0)
            text.append(chr(_BASE + (bits if done else bits | _MORE)))
            if done:
                break
    return "".join(text)


def unpack_counts(text: str) -> list[int]:
    """The inverse of :func:`pack_counts`.

    Raises:
        RleError: the text ends inside a number or holds foreign characters.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - _BASE
        if not 0 <= bits < 64:
            raise RleError(f"{character!r} is no character of a run-length code")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & _MORE:
            continue
        if bits & _SIGN:
            value |= -1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise RleError("a run-length code that ends inside a number")
    return counts
