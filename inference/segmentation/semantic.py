"""Models that say a class for every pixel; colonies are the connected parts of one taxon.

For two-stage set-ups (coral or not, then the genus) and for foundation models with a dense head. Colonies of one taxon
that touch come out as one: that is what such models can tell.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.segmentation.dense import probabilities, regions, resized, unmirrored
from inference.segmentation.pieces import Piece
from inference.segmentation.segmenter import Segmenter


class SemanticSegmenter(Segmenter):
    """A network with one output ``(N, labels [+ 1], h, w)``: logits; background first when there is one more."""

    def decode(self, outputs: tuple[NDArray[Any], ...], width: int, height: int, least: float) -> list[Piece]:
        """See :class:`Segmenter`. Holes smaller than the smallest colony are filled."""
        planes = probabilities(unmirrored(outputs[0]), self)
        probability = resized(planes, self.input_px)[:, :height, :width]
        best = probability.argmax(axis=0)
        owners = np.zeros(best.shape, np.int32)
        for taxon in range(1, len(probability)):
            mask = _without_small_holes(best == taxon, least)
            count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
            if count > 1:
                owners = np.where((parts > 0) & (owners == 0), parts + owners.max(), owners)
        return regions(owners.astype(np.int32), probability, self.taxa, least)


def _without_small_holes(mask: NDArray[np.bool_], least: float) -> NDArray[np.bool_]:
    from scipy import ndimage  # slow to load

    holes, count = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    if not count:
        return mask
    small = np.bincount(holes.ravel()) < least
    small[0] = False
    return mask | small[holes]
