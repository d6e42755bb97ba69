"""What models that speak of every pixel have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.engines import EngineError
from inference.segmentation.pieces import Piece, piece_of

if TYPE_CHECKING:
    from inference.segmentation.segmenter import Segmenter


def unmirrored(output: NDArray[Any]) -> NDArray[np.float32]:
    """``(1 or 2, C, h, w)`` to ``(C, h, w)``: the mean of both looks, the second mirrored back."""
    first = output[0].astype(np.float32)
    return (first + output[1, ..., ::-1]) / 2 if len(output) > 1 else first


def probabilities(logits: NDArray[np.float32], segmenter: Segmenter) -> NDArray[np.float32]:
    """Class logits to probabilities of "none of them" and the survey's taxa, ``(1 + taxa, h, w)``.

    Labels that lead to the same taxon are added up; those that lead to none count as background.

    Raises:
        EngineError: the model has another number of classes than its card.
    """
    classes, labels = len(logits), len(segmenter.labels)
    if classes not in {labels, labels + 1}:
        raise EngineError(
            f"model {segmenter.reference} tells {classes} classes apart, its card lists {labels} labels (with or "
            "without background): correct the labels in models.yaml"
        )
    share = logits - logits.max(axis=0, keepdims=True)
    np.exp(share, out=share)  # in place: fresh arrays of this size cost as much as what is calculated
    share /= share.sum(axis=0, keepdims=True)
    out = np.zeros((1 + len(segmenter.taxa), *logits.shape[1:]), np.float32)
    if classes > labels:
        out[0] = share[0]
    for plane, taxon in zip(share[classes - labels :], segmenter.taxon_of, strict=True):
        out[0 if taxon is None else 1 + segmenter.taxa.index(taxon)] += plane
    return out


def resized(planes: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Planes ``(C, h, w)`` at ``(C, side, side)``."""
    if planes.shape[1:] == (side, side):
        return planes
    return np.stack([cv2.resize(plane, (side, side), interpolation=cv2.INTER_LINEAR) for plane in planes])


def regions(
    owners: NDArray[np.int32], probability: NDArray[np.float32], taxa: tuple[str, ...], least: float
) -> list[Piece]:
    """Numbered regions as pieces: the taxon most probable in each, its mean probability as score.

    Args:
        owners: ``(h, w)``, 0 = background.
        probability: ``(1 + taxa, h, w)``, background first.
        taxa: names of the planes after the first.
        least: regions of fewer pixels are left out.
    """
    from scipy import ndimage  # slow to load

    found = []
    for number, where in enumerate(ndimage.find_objects(owners), 1):
        if where is None:
            continue
        mask = owners[where] == number
        size = int(np.count_nonzero(mask))
        if size < least:
            continue
        mean = probability[1:, where[0], where[1]][:, mask].mean(axis=1)
        best = int(mean.argmax())
        piece = piece_of(mask.astype(np.uint8), where[1].start, where[0].start, taxa[best], float(mean[best]))
        if piece is not None:
            found.append(piece)
    return found
