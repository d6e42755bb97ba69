"""Coral outlines, for ``cvat-cli``: ``--function-module inference.functions.corals``."""

from __future__ import annotations

from pathlib import Path

from inference.functions.auto_annotation import AutoAnnotation
from inference.functions.detectors import DEFAULT_MODEL, DEFAULT_TAXONOMY, CoralDetector
from inference.registry import MODELS


def create(
    model: str = DEFAULT_MODEL,
    taxonomy: str = DEFAULT_TAXONOMY,
    model_taxonomy: str = "",
    shape: str = "polygon",
    models: str = str(MODELS),
) -> AutoAnnotation:
    """The function.

    Args:
        model: ``name`` or ``name@version`` in the registry.
        taxonomy: name or YAML file of the taxonomy whose taxa are the task's labels.
        model_taxonomy: the taxonomy that the model's labels are of; empty: looked for.
        shape: ``polygon`` or ``mask``, as the task's labels are.
        models: folder of the registry.
    """
    return AutoAnnotation(CoralDetector(model, taxonomy, model_taxonomy, Path(models)), shape)
