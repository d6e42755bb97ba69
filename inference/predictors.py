"""The seam through which coral models of any kind are asked alike: a picture in, colonies out.

One entry per task of a model card. A new kind of coral model joins by adding its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.registry import ModelError, ModelRegistry
from inference.segmentation import Instance, Segmenter, segment

Predictor = Callable[[NDArray[np.uint8]], list[Instance]]
"""A clean picture, uint8 RGB ``(H, W, 3)``, to its colonies in pixels of that picture, best first."""


def open_predictor(models: ModelRegistry, name: str, threads: int = 0) -> Predictor:
    """The predictor of a registered coral model.

    Raises:
        ModelError: it is not registered, cannot be opened, or is not for corals.
    """
    card = models.card(name)
    if card.task not in PREDICTORS:
        raise ModelError(f"{card.versioned} is for {card.task}; corals are outlined by {', '.join(PREDICTORS)}")
    return PREDICTORS[card.task](models, name, threads)


def _taxon_and_core_maps(models: ModelRegistry, name: str, threads: int) -> Predictor:
    segmenter = Segmenter.of(models.load(name, threads=threads))
    return lambda image: segment(image, segmenter)


def _yolo_instances(models: ModelRegistry, name: str, threads: int) -> Predictor:
    from inference.training.yolo_predictor import YoloPredictor

    card = models.card(name)
    return YoloPredictor(card, models.weights(card))


PREDICTORS: Final[Mapping[str, Callable[[ModelRegistry, str, int], Predictor]]] = {
    "coral-segmentation": _taxon_and_core_maps,
    "coral-instances": _yolo_instances,
}
