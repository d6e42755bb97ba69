"""Quality of labels, recomputed outside CVAT from label tables.

Belongs here: pairing shapes of two sides and counting as CVAT does (``pairing``, ``pictures``, ``counts``, ``batch``),
the pixels that outlines cover and share (``overlap``, by ``crossings`` and ``spans``, else by ``runs``), what people
changed in proposals (``changes``) and how far (``moves``), lattice nodes in pixels (``keypoints``), and measures CVAT
has not: average precision, panoptic quality, boundaries (``detection``), agreement between people (``agreement``), and
rules a set of outlines should keep (``rules``).
Stays out: where tables lie, reports for people (``analytics.report``), Dagster.
"""

from __future__ import annotations

from analytics.quality.batch import BatchQuality, compare_batch, conflicts_table
from analytics.quality.changes import CHANGE_SCHEMA, Change, What, changes_table
from analytics.quality.counts import Confusion
from analytics.quality.keypoints import compare_skeletons, oks, skeleton_similarity
from analytics.quality.pairing import Pairing, pair
from analytics.quality.pictures import (
    CONFLICT_SCHEMA,
    Conflict,
    PictureQuality,
    QualitySettings,
    compare_picture,
)

__all__ = [
    "CHANGE_SCHEMA",
    "CONFLICT_SCHEMA",
    "BatchQuality",
    "Change",
    "Conflict",
    "Confusion",
    "Pairing",
    "PictureQuality",
    "QualitySettings",
    "What",
    "changes_table",
    "compare_batch",
    "compare_picture",
    "compare_skeletons",
    "conflicts_table",
    "oks",
    "pair",
    "skeleton_similarity",
]
