"""The seam through which coral models of any kind are asked alike: a picture in, colonies out.

One entry per task of a model card. A new kind of coral model joins by adding its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.registry import ModelError, ModelRegistry
from inference.segmentation import Instance, Options, Segmenter, segment

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


def _segmenter(models: ModelRegistry, name: str, threads: int) -> Predictor:
    # Proposals below are not even measured: they would change average precision in the third digit.
    segmenter = Segmenter.of(models.load(name, threads=threads), Options(min_score=0.05))
    return lambda image: segment(image, segmenter)


PREDICTORS: Final[Mapping[str, Callable[[ModelRegistry, str, int], Predictor]]] = {
    "coral-segmentation": _segmenter,
    "coral-instances": _segmenter,
    "coral-semantic": _segmenter,
}
