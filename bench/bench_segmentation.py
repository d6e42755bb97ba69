"""Coral segmentation: the shipped model on generated scenes, and outlines on real photos beside expert points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shapely.geometry import Polygon

from bench import moorea_points
from inference.registry import ModelRegistry
from inference.segmentation import Instance, Options, Segmenter, segment
from inference.training.evaluate import average_precision
from inference.training.samples import HELD_OUT_FROM, Outlines, picture, setting_of

SCENES = 24
FIRST = 500
REFERENCE, REFERENCE_MAP50 = "demo-corals@2, trained on the sample survey's own kind of scenes", 0.244
"""Measured on these scenes before its weights were removed."""
MEASURE = Options(min_score=0.05)
"""Surer than this is asked of proposals in surveys; average precision wants to see the doubtful ones too."""
SURE = 0.25

Pair = tuple[Sequence[Instance], Outlines]


def rows() -> list[dict[str, Any]]:
    """Mask mAP50 on scenes of three kinds, bias of cover, agreement on Moorea."""
    model = Segmenter.of(ModelRegistry().load("demo-corals"), MEASURE)
    kinds: dict[str, list[Pair]] = {}
    for seed in range(HELD_OUT_FROM + FIRST, HELD_OUT_FROM + FIRST + SCENES):
        image, truth = picture(seed, inpainted=True, setting=setting_of(seed))
        kinds.setdefault(setting_of(seed), []).append((segment(image, model), truth))
    pairs = [pair for kind in kinds.values() for pair in kind]
    value = average_precision(pairs)["mAP50"]
    each = ", ".join(f"{kind} {average_precision(own)['mAP50']:.3f}" for kind, own in kinds.items())
    bias, colonies = area_ratio(pairs)
    return [
        {
            "name": "seg.map50",
            "value": round(value, 4),
            "unit": "mask mAP at IoU 0.5",
            "reference": REFERENCE,
            "reference_value": REFERENCE_MAP50,
            "ratio": round(value / REFERENCE_MAP50, 3) if REFERENCE_MAP50 else None,
            "note": f"{SCENES} generated scenes, seeds from {HELD_OUT_FROM + FIRST}, never trained on, strings "
            f"inpainted ({each}); model {model.reference}",
        },
        {
            "name": "seg.area_ratio",
            "value": round(bias, 4),
            "unit": "proposed over true area",
            "note": f"{colonies} colonies of these scenes that were met (IoU over 0.5) with a score over {SURE}",
        },
        *moorea_points.rows(),
    ]


def area_ratio(pairs: Sequence[Pair]) -> tuple[float, int]:
    """Joint area of all colonies that were met over their true area, and how many these are."""
    proposed = true = 0.0
    count = 0
    for found, truth in pairs:
        real = [Polygon(ring).buffer(0) for _, ring in truth]
        for instance in found:
            shape = Polygon(instance.ring, instance.holes)
            met = next((r for r in real if shape.intersection(r).area > 0.5 * shape.union(r).area), None)
            if met is not None and instance.score >= SURE:
                proposed, true, count = proposed + shape.area, true + met.area, count + 1
    return (proposed / true if true else float("nan")), count
