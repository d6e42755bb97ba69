"""Which shape of one side stands for which of the other: one-to-one, best total similarity, label second.

As CVAT pairs shapes (``match_segments`` in ``cvat/apps/quality_control/quality_reports.py``): cost 1 - similarity, a
square matrix padded with cost 1, pairs below the threshold cost 1 too and are no pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Pairing:
    """Indices into both sides; ``ds`` is what is measured, ``gt`` what it is measured against.

    Attributes:
        matches: (ds, gt) of one label.
        mismatches: (ds, gt) of different labels.
        extra: ds without a partner.
        missing: gt without a partner.
        similarity: ``(n_ds, n_gt)`` float64, 0..1.
    """

    matches: list[tuple[int, int]]
    mismatches: list[tuple[int, int]]
    extra: list[int]
    missing: list[int]
    similarity: NDArray[np.float64]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Matches and mismatches."""
        return [*self.matches, *self.mismatches]

    @property
    def values(self) -> list[float]:
        """Similarities of ``pairs``."""
        ds, gt = np.array(self.pairs, np.int64).reshape(-1, 2).T
        return list(self.similarity[ds, gt].tolist())

    def overlaps(self) -> list[float]:
        """What CVAT averages to a mean IoU: of every pair its similarity, of every shape alone its best to any."""
        best_ds = self.similarity.max(axis=1, initial=0.0)
        best_gt = self.similarity.max(axis=0, initial=0.0)
        return [*self.values, *best_gt[self.missing].tolist(), *best_ds[self.extra].tolist()]


def pair(
    similarity: NDArray[np.float64], ds_labels: Sequence[str], gt_labels: Sequence[str], threshold: float
) -> Pairing:
    """Pair the shapes of one picture.

    Args:
        similarity: ``(n_ds, n_gt)``, 0..1; anything not finite counts as 0.
        ds_labels: labels of the rows.
        gt_labels: labels of the columns.
        threshold: least similarity of a pair; one exactly at it is a pair.
    """
    from scipy.optimize import linear_sum_assignment  # slow to load

    count_ds, count_gt = len(ds_labels), len(gt_labels)
    known = np.where(np.isfinite(similarity), similarity, 0.0).reshape(count_ds, count_gt)
    size = max(count_ds, count_gt)
    cost = np.ones((size, size))
    distance = 1 - known
    cost[:count_ds, :count_gt] = np.where(distance > 1 - threshold, 1.0, distance)
    rows, columns = linear_sum_assignment(cost)
    real = (rows < count_ds) & (columns < count_gt) & (cost[rows, columns] < 1)
    left, right = rows[real], columns[real]
    matches: list[tuple[int, int]] = []
    mismatches: list[tuple[int, int]] = []
    for i, j in zip(left.tolist(), right.tolist(), strict=True):
        (matches if ds_labels[i] == gt_labels[j] else mismatches).append((i, j))
    return Pairing(matches, mismatches, _others(left, count_ds), _others(right, count_gt), known)


def _others(taken: NDArray[np.int64], count: int) -> list[int]:
    free = np.ones(count, bool)
    free[taken] = False
    return list(np.flatnonzero(free).tolist())
