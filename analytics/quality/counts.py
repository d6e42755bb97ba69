"""The confusion matrix and the figures that follow from it, by CVAT's formulas.

Rows are ``ds`` (what is measured), columns ``gt``; the last index stands for "unmatched". A share of nothing is 0, as
in CVAT. Micro figures count shapes, macro figures average labels that occur, worst is the least of those labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNMATCHED = "unmatched"
FIGURES = ("accuracy", "precision", "recall", "jaccard", "dice")


@dataclass(slots=True)
class Confusion:
    """Counts of pairs.

    Attributes:
        labels: names, without ``unmatched``.
        matrix: ``(n + 1, n + 1)`` int64.
    """

    labels: tuple[str, ...]
    matrix: NDArray[np.int64]

    @classmethod
    def empty(cls, labels: tuple[str, ...]) -> Confusion:
        """No pairs yet."""
        return cls(labels, np.zeros((len(labels) + 1, len(labels) + 1), np.int64))

    def __add__(self, other: Confusion) -> Confusion:
        """Counts of both.

        Raises:
            ValueError: they speak of different labels.
        """
        if self.labels != other.labels:
            raise ValueError(f"confusion matrices of different labels: {self.labels} and {other.labels}")
        return Confusion(self.labels, self.matrix + other.matrix)

    @property
    def valid(self) -> int:
        """Pairs of one label."""
        return int(np.trace(self.matrix))

    @property
    def missing(self) -> int:
        """``gt`` without a partner."""
        return int(self.matrix[-1].sum())

    @property
    def extra(self) -> int:
        """``ds`` without a partner."""
        return int(self.matrix[:, -1].sum())

    @property
    def mismatching(self) -> int:
        """Pairs of different labels."""
        inner = self.matrix[:-1, :-1]
        return int(inner.sum() - np.trace(inner))

    @property
    def total(self) -> int:
        """Pairs and shapes alone."""
        return int(self.matrix.sum())

    @property
    def ds_count(self) -> int:
        """Shapes that were measured."""
        return int(self.matrix[:-1].sum())

    @property
    def gt_count(self) -> int:
        """Shapes they were measured against."""
        return int(self.matrix[:, :-1].sum())

    def per_label(self) -> dict[str, NDArray[np.float64]]:
        """Each figure as ``(n + 1,)`` float64, ``unmatched`` last."""
        diagonal = np.diag(self.matrix).astype(float)
        rows, columns = self.matrix.sum(axis=1), self.matrix.sum(axis=0)
        total = self.total
        return {
            "accuracy": _shares(total - (rows - diagonal) - (columns - diagonal), np.full(len(rows), total)),
            "precision": _shares(diagonal, rows),
            "recall": _shares(diagonal, columns),
            "jaccard": _shares(diagonal, rows + columns - diagonal),
            "dice": _shares(2 * diagonal, rows + columns),
        }

    def micro(self) -> dict[str, float]:
        """Figures over all shapes: accuracy = valid / total, precision = valid / ds, recall = valid / gt.

        Over all labels together, Jaccard is valid / (ds + gt - valid) and Dice 2 valid / (ds + gt).
        """
        valid, ds, gt = self.valid, self.ds_count, self.gt_count
        return {
            "accuracy": _share(valid, self.total),
            "precision": _share(valid, ds),
            "recall": _share(valid, gt),
            "jaccard": _share(valid, ds + gt - valid),
            "dice": _share(2 * valid, ds + gt),
        }

    def macro(self) -> dict[str, float | None]:
        """Means over the labels that occur on either side; None where none does."""
        return {name: float(np.mean(v)) if len(v) else None for name, v in self._occurring().items()}

    def worst(self) -> dict[str, tuple[str, float] | None]:
        """For every figure the label with the least value."""
        names = [label for label, here in zip(self.labels, self._present(), strict=True) if here]
        return {
            name: (names[int(np.argmin(v))], float(np.min(v))) if len(v) else None
            for name, v in self._occurring().items()
        }

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        per_label = self.per_label()
        return {
            "labels": [*self.labels, UNMATCHED],
            "confusion": self.matrix.tolist(),
            "valid": self.valid,
            "missing": self.missing,
            "extra": self.extra,
            "mismatching": self.mismatching,
            "total": self.total,
            "ds_count": self.ds_count,
            "gt_count": self.gt_count,
            **self.micro(),
            "macro": self.macro(),
            "worst": {name: list(v) if v else None for name, v in self.worst().items()},
            "per_label": {
                label: {name: float(per_label[name][i]) for name in FIGURES} for i, label in enumerate(self.labels)
            },
        }

    def _present(self) -> NDArray[np.bool_]:
        return ((self.matrix.sum(axis=0) + self.matrix.sum(axis=1))[:-1]) > 0

    def _occurring(self) -> dict[str, NDArray[np.float64]]:
        present = self._present()
        return {name: values[:-1][present] for name, values in self.per_label().items()}


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _shares(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(part)), where=np.asarray(whole) != 0)
