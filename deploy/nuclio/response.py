"""Label rows as the items that CVAT's lambda manager expects from a detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from labels.formats.cvat.geometry import OutlineError, mask_runs
from labels.formats.cvat.shapes import drawable, outline_points
from labels.formats.cvat.specs import CONFIDENCE
from labels.formats.cvat.write import confidence_of, cvat_points
from labels.schema import Kind, Shape

MODEL_ATTRIBUTE = "model"
"""Text attribute that says which model answered; CVAT drops it unless the project's label has it too."""


def items(shapes: Sequence[Shape], nodes: dict[str, Sequence[str]], outlines: str) -> list[dict[str, Any]]:
    """CVAT's list; what cannot be drawn (smaller than a pixel) is left out.

    Args:
        shapes: skeletons, and polygons with holes.
        nodes: label -> names of a skeleton's nodes, in order.
        outlines: ``mask`` or ``polygon``.
    """
    made = []
    for shape in shapes:
        if shape.kind == Kind.SKELETON:
            made.append(_common(shape) | {"type": "skeleton", "elements": _elements(shape, nodes[shape.label])})
        elif drawable(shape):
            try:
                made.append(_common(shape) | _outline(shape, outlines))
            except OutlineError:
                continue
    return made


def _common(shape: Shape) -> dict[str, Any]:
    attributes = [{"name": CONFIDENCE, "value": confidence_of(shape)}]
    if shape.model:
        attributes.append({"name": MODEL_ATTRIBUTE, "value": shape.model})
    # The number as text is what CVAT's own detectors send; CVAT itself reads the attribute.
    return {"label": shape.label, "confidence": f"{shape.score or 0.0:.4f}", "attributes": attributes}


def _elements(shape: Shape, names: Sequence[str]) -> list[dict[str, Any]]:
    hidden = set(shape.outside_nodes())
    return [
        {"label": name, "type": "points", "points": cvat_points(xy), "outside": int(name in hidden), "attributes": []}
        for name, xy in zip(names, shape.xy(), strict=True)
    ]


def _outline(shape: Shape, outlines: str) -> dict[str, Any]:
    points = outline_points(shape)
    if outlines == "polygon":
        return {"type": "polygon", "points": points}
    # CVAT wants the box's pixels one by one here and packs them itself; `points` is what it draws when it is asked to
    # turn masks into polygons.
    *runs, left, top, right, bottom = mask_runs(shape.points, shape.holes)
    pixels = np.repeat(np.arange(len(runs)) % 2, runs)
    return {"type": "mask", "points": points, "mask": [*pixels.tolist(), left, top, right, bottom]}
