"""The shipped coral model on held-out scenes, beside the figure of its first version."""

from __future__ import annotations

from typing import Any

from inference.registry import ModelRegistry
from inference.segmentation import Segmenter, segment
from inference.training.evaluate import average_precision
from inference.training.samples import HELD_OUT_FROM, picture

SCENES = 20
FIRST_VERSION = 0.846
"""mAP50 of demo-corals@1 (14 minutes of training) on scenes of the same kind, as its card said."""


def rows() -> list[dict[str, Any]]:
    """Mask mAP50 on scenes after those of the model card, strings removed by inpainting."""
    model = Segmenter.of(ModelRegistry().load("demo-corals"))
    pairs = []
    for number in range(SCENES):
        image, truth = picture(HELD_OUT_FROM + 500 + number, inpainted=True)
        pairs.append((segment(image, model), truth))
    value = average_precision(pairs)["mAP50"]
    note = f"{SCENES} generated scenes, seeds from {HELD_OUT_FROM + 500}, never trained on; model {model.reference}"
    return [
        {
            "name": "seg.map50",
            "value": round(value, 4),
            "unit": "mask mAP at IoU 0.5",
            "reference": "demo-corals@1, as recorded on its card",
            "reference_value": FIRST_VERSION,
            "ratio": round(value / FIRST_VERSION, 3),
            "note": note,
        }
    ]
