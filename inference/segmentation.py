"""Coral segmentation: one outline per colony with its taxon and a score.

The network looks at the whole picture at ``input_px`` and says for every pixel which taxon it shows and whether it lies
inside a colony, away from its edge. Colonies grow from those cores, so neighbours of one taxon stay apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.engines import Engine
from inference.polygons import Ring, mask_to_polygons
from inference.registry import Model

OUTLINE_PX = 960
"""Side of the raster in which outlines are traced: between the network's and the picture's own."""
CORE = 0.5
FOREGROUND = 0.5
MIN_AREA_SHARE = 1.5e-4
"""Smallest colony, as a share of the picture: 1.4 cm across on a 1 m frame; annotators start at 2 cm."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A colony; rings in pixels of the clean picture. ``score`` is the mean probability of its taxon inside it."""

    label: str
    ring: Ring
    holes: list[Ring] = field(default_factory=list)
    score: float = 0.0


class Segmenter:
    """A network: ``(N, 3, S, S)`` float32 RGB of 0..1 in; taxon logits (background first) and core logit out."""

    def __init__(self, engine: Engine, labels: tuple[str, ...], input_px: int, reference: str) -> None:
        """Run ``engine`` on pictures of ``input_px`` a side; ``reference`` goes on every label."""
        self.engine = engine
        self.labels = labels
        self.input_px = input_px
        self.reference = reference

    @classmethod
    def of(cls, model: Model) -> Segmenter:
        """The segmenter of a registered model."""
        return cls(model.engine, model.card.labels, model.card.input_px, model.reference)

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The picture as the network sees it, ``(1, 3, s, s)``."""
        small = cv2.resize(image, (self.input_px, self.input_px), interpolation=cv2.INTER_AREA)
        return small.astype(np.float32).transpose(2, 0, 1)[None] / 255

    def finish(self, image: NDArray[np.uint8], outputs: tuple[NDArray[np.float32], ...]) -> list[Instance]:
        """Outlines of all colonies, best first, from the network's outputs for this picture."""
        logits = outputs[0][0]
        classes, core = logits[:-1], logits[-1]
        odds = np.exp(classes - classes.max(axis=0, keepdims=True))
        probability = odds / odds.sum(axis=0, keepdims=True)
        return instances(probability, 1 / (1 + np.exp(-core)), self.labels, image.shape[1], image.shape[0])


def segment(image: NDArray[np.uint8], model: Segmenter) -> list[Instance]:
    """Outlines of all colonies in a clean picture, best first.

    Args:
        image: uint8 RGB ``(H, W, 3)``.
    """
    return model.finish(image, model.engine.predict(model.prepare(image)))


def instances(
    classes: NDArray[np.float32], core: NDArray[np.float32], labels: tuple[str, ...], width: int, height: int
) -> list[Instance]:
    """Colonies from probability maps, in pixels of a ``width`` x ``height`` picture."""
    side = OUTLINE_PX
    up = [cv2.resize(plane, (side, side), interpolation=cv2.INTER_LINEAR) for plane in [*classes, core]]
    probability, cores = np.stack(up[:-1]), up[-1]
    coral = 1 - probability[0]
    body = coral > FOREGROUND
    owners = _grow(body & (cores > CORE), body)
    found = []
    least = MIN_AREA_SHARE * side * side
    scale = np.array([(width - 1) / (side - 1), (height - 1) / (side - 1)])
    for number in range(1, int(owners.max()) + 1):
        mask = owners == number
        if mask.sum() < least:
            continue
        taxa = probability[1:, mask].mean(axis=1)
        best = int(taxa.argmax())
        for outline in mask_to_polygons(mask.astype(np.uint8), tolerance_px=0.8, min_area_px=least)[:1]:
            holes = [hole * scale for hole in outline.holes]
            found.append(Instance(labels[best], outline.ring * scale, holes, float(taxa[best])))
    return sorted(found, key=lambda i: -i.score)


def _grow(cores: NDArray[np.bool_], body: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Give every body pixel to the nearest core it is joined with; parts without a core are colonies of their own."""
    _, seeds = cv2.connectedComponents(cores.astype(np.uint8), connectivity=4)
    count, parts = cv2.connectedComponents(body.astype(np.uint8), connectivity=4)
    number = int(seeds.max())
    for part in range(1, count):
        inside = parts == part
        if not (seeds[inside] > 0).any():
            number += 1
            seeds[inside] = number
    _, nearest = cv2.distanceTransformWithLabels(
        (seeds == 0).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    owner_of = np.zeros(int(nearest.max()) + 1, np.int32)
    owner_of[nearest[seeds > 0]] = seeds[seeds > 0]
    return np.where(body, owner_of[nearest], 0).astype(np.int32)
