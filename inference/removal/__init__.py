"""Removing the lattice: the mask of strings (and tape), four ways to paint over it, and how believable the result is.

Belongs here: masks, painters, their score. What strings cover is measured in ``inference.footprint``; which weights
to trust is decided by ``inference.registry``.
"""

from inference.footprint import estimate_shadow, estimate_string_width
from inference.removal.errors import RemovalError
from inference.removal.lama import LamaEngine, open_lama
from inference.removal.learned import Predicts
from inference.removal.mask import (
    Mask,
    end_pieces,
    lattice_mask,
    measured_mask,
    measured_string_mask,
    string_mask,
    string_path,
)
from inference.removal.methods import LEARNED_MODEL, MODELS, NEED_MODEL, remove, remove_lattice
from inference.removal.picture import CleanPicture, RemovalPlan, clean_picture
from inference.removal.score import RemovalScore, score_removal
from inference.removal.tape import Tape, find_tape, tape_mask

__all__ = [
    "LEARNED_MODEL",
    "MODELS",
    "NEED_MODEL",
    "CleanPicture",
    "LamaEngine",
    "Mask",
    "Predicts",
    "RemovalError",
    "RemovalPlan",
    "RemovalScore",
    "Tape",
    "clean_picture",
    "end_pieces",
    "estimate_shadow",
    "estimate_string_width",
    "find_tape",
    "lattice_mask",
    "measured_mask",
    "measured_string_mask",
    "open_lama",
    "remove",
    "remove_lattice",
    "score_removal",
    "string_mask",
    "string_path",
    "tape_mask",
]
