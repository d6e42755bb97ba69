"""Removing the lattice: the mask of strings (and tape), four ways to paint over it, and how believable the result is.

Belongs here: masks, painters, their score. What strings cover is measured in ``inference.footprint``; which weights
to trust is decided by ``inference.registry``.
"""

from inference.footprint import estimate_shadow, estimate_string_width
from inference.removal.mask import (
    Mask,
    end_pieces,
    lattice_mask,
    measured_mask,
    measured_string_mask,
    string_mask,
    string_path,
)
from inference.removal.methods import LEARNED_MODEL, MODELS, NEED_MODEL, RemovalError, remove, remove_lattice

__all__ = [
    "LEARNED_MODEL",
    "MODELS",
    "NEED_MODEL",
    "Mask",
    "RemovalError",
    "end_pieces",
    "estimate_shadow",
    "estimate_string_width",
    "lattice_mask",
    "measured_mask",
    "measured_string_mask",
    "remove",
    "remove_lattice",
    "string_mask",
    "string_path",
]
