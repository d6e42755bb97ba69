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


def encode_pixels(mask: NDArray[np.bool_], left: int, top: int, height: int, width: int) -> str:
    """The same from the mask of an object's own box ``(h, w)`` at ``left``, ``top`` of a picture ``height x width``.

    Equal to encoding the whole picture, without making it.
    """
    rows, columns = mask.shape
    if not mask.any():
        return pack_counts([height * width])
    padded = np.zeros((columns, rows + 2), np.int8)
    padded[:, 1:-1] = mask.T
    edges = np.diff(padded, axis=1)
    column, start = np.nonzero(edges == 1)
    end = np.nonzero(edges == -1)[1]
    first = (left + column) * height + top + start
    last = (left + column) * height + top + end
    new = np.concatenate([[True], first[1:] != last[:-1]])  # a run may go on from the foot of one column to the next
    first, last = first[new], last[np.concatenate([new[1:], [True]])]
    bounds = np.column_stack([first, last]).ravel()
    counts = np.diff(np.concatenate([[0], bounds, [height * width]]))
    if counts[-1] == 0:
        counts = counts[:-1]
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
