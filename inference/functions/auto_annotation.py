"""A detector as a function of ``cvat_sdk.auto_annotation``, for ``cvat-cli task auto-annotate`` and CVAT's agents."""

from __future__ import annotations

from typing import Any

import cvat_sdk.auto_annotation as cvataa
import numpy as np
from PIL import Image

from inference.functions.detectors import Detector, FunctionSetupError
from labels.formats.cvat.geometry import OutlineError, mask_runs
from labels.formats.cvat.shapes import drawable, outline_points
from labels.formats.cvat.specs import CONFIDENCE
from labels.formats.cvat.write import confidence_of, cvat_points
from labels.schema import Shape

_CONFIDENCE_ID = 0
AS_SKELETON = ("skeleton", "points")
AS_OUTLINE = ("polygon", "mask")


class AutoAnnotation:
    """A ``cvat_sdk.auto_annotation.DetectionFunction``.

    Attributes:
        spec: the labels it may return. CVAT matches them with the task's by name; the task must have them all unless
            ``--allow-unmatched-labels`` is given.
    """

    def __init__(self, detector: Detector, form: str) -> None:
        """``form``: what CVAT gets, ``skeleton`` or ``points`` for nodes, ``polygon`` or ``mask`` for outlines.

        Raises:
            FunctionSetupError: the detector has no such form.
        """
        forms = AS_SKELETON if detector.labels[0]["type"] == "skeleton" else AS_OUTLINE
        if form not in forms:
            raise FunctionSetupError(f"no shape {form!r} for this function: use one of {', '.join(forms)}")
        self.form = form
        self._detector = detector
        self._ids = {label["name"]: number for number, label in enumerate(detector.labels)}
        self.spec = cvataa.DetectionFunctionSpec(labels=[self._label(label) for label in detector.labels])

    def detect(self, context: cvataa.DetectionFunctionContext, image: Image.Image) -> list[Any]:
        """CVAT's shapes for one picture."""
        pixels = np.asarray(image.convert("RGB"))
        found = self._detector.detect(pixels, context.conf_threshold).shapes
        form = "polygon" if context.conv_mask_to_poly and self.form == "mask" else self.form
        return [made for shape in found if (made := self._shape(shape, form)) is not None]

    def _label(self, label: dict[str, Any]) -> Any:
        number = self._ids[label["name"]]
        values = next(a["values"] for a in label["attributes"] if a["name"] == CONFIDENCE)
        attributes = [cvataa.number_attribute_spec(CONFIDENCE, _CONFIDENCE_ID, values)]
        if self.form != "skeleton":
            return cvataa.label_spec(label["name"], number, type=self.form, attributes=attributes)
        nodes = [cvataa.keypoint_spec(node["name"], i) for i, node in enumerate(label["sublabels"])]
        return cvataa.skeleton_label_spec(label["name"], number, nodes, attributes=attributes)

    def _shape(self, shape: Shape, form: str) -> Any | None:
        common = {"attributes": [{"spec_id": _CONFIDENCE_ID, "value": confidence_of(shape)}]}
        number = self._ids[shape.label]
        if form == "skeleton":
            hidden, nodes = self._nodes(shape)
            elements = [cvataa.keypoint(i, xy, outside=node in hidden) for i, (node, xy) in enumerate(nodes)]
            return cvataa.skeleton(number, elements, **common)
        if form == "points":
            hidden, nodes = self._nodes(shape)
            seen = [v for node, xy in nodes if node not in hidden for v in xy]
            return cvataa.shape(number, type="points", points=seen, **common)
        if not drawable(shape):
            return None
        if form == "polygon":
            return cvataa.polygon(number, outline_points(shape), **common)
        try:
            return cvataa.mask(number, mask_runs(shape.points, shape.holes), **common)
        except OutlineError:  # smaller than a pixel
            return None

    def _nodes(self, shape: Shape) -> tuple[set[str], list[tuple[str, list[float]]]]:
        names = [node["name"] for node in self._detector.labels[self._ids[shape.label]]["sublabels"]]
        return set(shape.outside_nodes()), list(zip(names, map(cvat_points, shape.xy()), strict=True))
