"""The lattice's nodes, for ``cvat-cli``: ``--function-module inference.functions.lattice``."""

from __future__ import annotations

from inference.functions.auto_annotation import AutoAnnotation
from inference.functions.detectors import LATTICE_LABEL, LatticeDetector
from labels.lattice import DEFAULT_LATTICE


def create(topology: str = DEFAULT_LATTICE, label: str = LATTICE_LABEL, shape: str = "skeleton") -> AutoAnnotation:
    """The function.

    Args:
        topology: name or YAML file of the lattice.
        label: name of the label in CVAT.
        shape: ``skeleton``, or ``points`` for the visible nodes as points of one label.
    """
    return AutoAnnotation(LatticeDetector(topology, label), shape)
