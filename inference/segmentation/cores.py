"""The shipped network: it says for every pixel which taxon it shows and whether it is the core of a colony.

A core lies inside a colony, away from its edge. Colonies grow from their cores, so neighbours of one taxon stay apart.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.segmentation.dense import probabilities, regions, resized, unmirrored
from inference.segmentation.pieces import Piece
from inference.segmentation.segmenter import Segmenter

CORE = 0.5
FOREGROUND = 0.5


class CoreSegmenter(Segmenter):
    """A network with one output ``(N, 1 + labels + 1, h, w)``: logits of background, labels and core."""

    def decode(self, outputs: tuple[NDArray[Any], ...], width: int, height: int, least: float) -> list[Piece]:
        """See :class:`Segmenter`."""
        logits = unmirrored(outputs[0])
        classes = probabilities(logits[:-1], self)
        core = 1 / (1 + np.exp(-np.clip(logits[-1], -30, 30)))
        side = self.input_px
        probability = resized(classes, side)[:, :height, :width]
        cores = resized(core[None], side)[0, :height, :width]
        body = probability[0] < 1 - FOREGROUND
        return regions(grown(body & (cores > CORE), body), probability, self.taxa, least)


def grown(cores: NDArray[np.bool_], body: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Give every body pixel to the nearest core; parts without a core are colonies of their own."""
    count, seeds = cv2.connectedComponents(cores.astype(np.uint8), connectivity=4)
    parts_count, parts = cv2.connectedComponents(body.astype(np.uint8), connectivity=4)
    cored = np.zeros(parts_count, bool)
    cored[parts[seeds > 0]] = True
    alone = np.flatnonzero(~cored[1:]) + 1
    if len(alone):
        number_of = np.zeros(parts_count, np.int32)
        number_of[alone] = np.arange(count, count + len(alone))
        numbers = number_of[parts]
        np.copyto(seeds, numbers, where=numbers > 0)
    owners, seeded = np.zeros(body.shape, np.int32), seeds > 0
    if not seeded.any():
        return owners
    _, nearest = cv2.distanceTransformWithLabels(
        (~seeded).view(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    owner_of = np.zeros(int(nearest.max()) + 1, np.int32)
    owner_of[nearest[seeded]] = seeds[seeded]
    owners[body] = owner_of[nearest[body]]
    return owners
