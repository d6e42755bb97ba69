"""The frame's corners, for ``cvat-cli``: ``--function-module inference.functions.corners``."""

from __future__ import annotations

from inference.functions.auto_annotation import AutoAnnotation
from inference.functions.detectors import CORNERS_LABEL, CornerDetector


def create(label: str = CORNERS_LABEL, shape: str = "skeleton") -> AutoAnnotation:
    """The function.

    Args:
        label: name of the label in CVAT.
        shape: ``skeleton``, or ``points`` for four points of one label.
    """
    return AutoAnnotation(CornerDetector(label), shape)
