"""A batch: its pictures compared and summed up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from analytics.quality.changes import Change, changes_of
from analytics.quality.counts import Confusion
from analytics.quality.pictures import CONFLICT_SCHEMA, PictureQuality, QualitySettings, compare_picture
from labels.schema import Shape


@dataclass(slots=True)
class BatchQuality:
    """Figures of a batch.

    Attributes:
        confusion: the pictures' matrices added up.
        pictures: one each, worst first (by accuracy, then by mean IoU).
        changes: what was done to every shape on the way from ``ds`` to ``gt``.
    """

    confusion: Confusion
    pictures: list[PictureQuality] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    @property
    def conflicts(self) -> list[dict[str, object]]:
        """All pictures' conflicts, in the order of the pictures."""
        return [row for picture in self.pictures for row in picture.conflicts]

    @property
    def ious(self) -> list[float]:
        """Similarities of all pairs."""
        return [value for picture in self.pictures for _, _, value in picture.pairs]

    def to_json(self) -> dict[str, Any]:
        """Figures as plain data.

        ``mean_iou`` averages over all shapes of the batch as CVAT does over those of a frame; CVAT 2.54 itself
        reports 0 here, because it averages a total that is never filled. ``matched_iou`` is over pairs alone.
        Without a picture, shares are None.
        """
        overlaps = [value for picture in self.pictures for value in picture.overlaps]
        empty: Counter[str] = sum((p.empty for p in self.pictures), Counter())
        figures = self.confusion.to_json()
        if empty:
            figures |= _with_empty(self.confusion, empty)
        if not self.pictures:
            figures |= dict.fromkeys(self.confusion.micro())
        counts = Counter(change.what.value for change in self.changes)
        return {
            **figures,
            "pictures": len(self.pictures),
            "mean_iou": float(np.mean(overlaps)) if overlaps else None,
            "matched_iou": float(np.mean(self.ious)) if self.ious else None,
            "conflicts_by_type": dict(Counter(str(row["conflict"]) for row in self.conflicts)),
            "errors": sum(row["severity"] == "error" for row in self.conflicts),
            "warnings": sum(row["severity"] == "warning" for row in self.conflicts),
            "changes": dict(counts),
        }


def compare_batch(
    ds: Iterable[Shape],
    gt: Iterable[Shape],
    labels: Sequence[str],
    sizes: Mapping[str, tuple[int, int]],
    settings: QualitySettings | None = None,
    *,
    with_changes: bool = True,
) -> BatchQuality:
    """Compare all pictures of a batch.

    Args:
        ds: what is measured: proposals, or an annotator's shapes.
        gt: what it is measured against: reviewed labels, or a ground-truth job's.
        labels: all labels that may occur, in the order of the confusion matrix.
        sizes: ``image_id -> (width, height)``: the pictures that are compared; shapes of others are an error, so that
            nothing is left out silently.
        settings: thresholds; CVAT's if None.
        with_changes: also say what was done to every shape. Where ``gt`` did not come out of ``ds``, nothing was done;
            how far outlines moved is a third of the time.

    Raises:
        ValueError: a shape's picture or label is unknown.
    """
    mine, theirs = _by_picture(ds, sizes), _by_picture(gt, sizes)
    names = tuple(labels)
    result = BatchQuality(Confusion.empty(names))
    for image_id, size in sizes.items():
        picture = compare_picture(image_id, mine[image_id], theirs[image_id], names, size, settings)
        result.confusion.matrix += picture.confusion.matrix
        result.pictures.append(picture)
        if with_changes:
            result.changes += changes_of(picture)
        picture.outlines = picture.pairing = None
    result.pictures.sort(key=_rank)
    return result


def conflicts_table(conflicts: Sequence[Mapping[str, object]], gate: str) -> pa.Table:
    """Conflicts as a table of :data:`CONFLICT_SCHEMA`."""
    return pa.Table.from_pylist([{**c, "gate": gate} for c in conflicts], schema=CONFLICT_SCHEMA)


def _rank(picture: PictureQuality) -> tuple[float, float]:
    """The worst first: by accuracy, then by mean IoU."""
    counts = picture.confusion
    return counts.valid / counts.total if counts.total else 1.0, picture.mean_iou


def _by_picture(shapes: Iterable[Shape], sizes: Mapping[str, tuple[int, int]]) -> defaultdict[str, list[Shape]]:
    grouped: defaultdict[str, list[Shape]] = defaultdict(list)
    for shape in shapes:
        if shape.image_id not in sizes:
            raise ValueError(f"{shape.shape_id}: its picture {shape.image_id} is not in the batch's manifest")
        grouped[shape.image_id].append(shape)
    return grouped


def _with_empty(confusion: Confusion, empty: Counter[str]) -> dict[str, float]:
    valid = confusion.valid + empty["valid"]
    return {
        "accuracy": valid / max(1, confusion.total + empty["total"]),
        "precision": valid / max(1, confusion.ds_count + empty["ds_count"]),
        "recall": valid / max(1, confusion.gt_count + empty["gt_count"]),
    }
