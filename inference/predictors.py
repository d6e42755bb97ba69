"""The seam through which coral models of any kind are asked alike: a picture in, colonies out.

One entry per task of a model card. A new kind of coral model joins by adding its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.engines import EngineError
from inference.registry import Model, ModelError, ModelRegistry
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


def try_out(model: Model) -> None:
    """Ask a model once, as a batch would: whether it takes pictures of its card's size and answers in its labels.

    Only coral models are asked; those of other tasks have no labels to be confused.

    Raises:
        ModelError: the network and its card do not fit together.
    """
    card = model.card
    if card.task not in PREDICTORS:
        return
    noise = np.random.default_rng(0).integers(0, 256, (card.input_px, card.input_px, 3), np.uint8)
    try:
        segment(noise, Segmenter.of(model))
    except (EngineError, ValueError, TypeError, IndexError) as error:  # outputs may have any shape
        what = " ".join(str(error).split())
        raise ModelError(
            f"{card.versioned} does not answer as a {card.task} model with {len(card.labels)} labels at "
            f"{card.input_px} px: {what}"
        ) from error


def _segmenter(models: ModelRegistry, name: str, threads: int) -> Predictor:
    # Proposals below are not even measured: they would change average precision in the third digit.
    segmenter = Segmenter.of(models.load(name, threads=threads), Options(min_score=0.05))
    return lambda image: segment(image, segmenter)


PREDICTORS: Final[Mapping[str, Callable[[ModelRegistry, str, int], Predictor]]] = {
    "coral-segmentation": _segmenter,
    "coral-instances": _segmenter,
    "coral-semantic": _segmenter,
}
