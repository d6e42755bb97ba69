"""The model registry: which models exist, and the proof that a weights file is the one that was measured.

``inference/models/models.yaml`` names every shipped model with its hash, labels, licence and figures. A file whose
hash differs is refused, and so is one that could run code when it is opened, so a label's model reference always says
exactly which weights made it. An installation's own models and promotions are kept by ``resources.models``.
"""

from __future__ import annotations

from inference.registry.card import TASKS, ModelCard, ModelError
from inference.registry.fit import class_map, labels_problem
from inference.registry.registry import MODELS, Model, ModelRegistry
from inference.registry.weights import WeightsFormat, examine, verify

__all__ = [
    "MODELS",
    "TASKS",
    "Model",
    "ModelCard",
    "ModelError",
    "ModelRegistry",
    "WeightsFormat",
    "class_map",
    "examine",
    "labels_problem",
    "verify",
]
