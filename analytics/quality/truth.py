"""Annotators against a ground-truth job: the figures of everyone together, and of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analytics.cover.points import layout
from analytics.quality.agreement import NOTHING, agreement, ratings_at
from analytics.quality.batch import compare_batch
from labels.schema import Shape

POINTS = "random-200"
RESAMPLES = 400


@dataclass(frozen=True, slots=True)
class Answer:
    """What one annotator drew on one picture that also has a ground truth. ``annotator`` None: nobody was assigned."""

    image_id: str
    job: int | None
    annotator: str | None
    shapes: Sequence[Shape]


def against_truth(
    answers: Sequence[Answer], truth: Mapping[str, Sequence[Shape]], labels: Sequence[str], sizes: Mapping[str, tuple]
) -> dict[str, Any] | None:
    """Figures of annotators against the ground truth.

    Args:
        answers: several of one picture when it was hidden in several jobs.
        truth: shapes of the ground-truth job by image id; a picture without shapes is an answer, too.
        labels: all labels that may occur.
        sizes: (width, height) by image id.

    Returns:
        What :meth:`BatchQuality.to_json` gives, over all answers, with ``answers``, ``agreement`` (Cohen's kappa at
        200 points a picture, overall and per label, each with its 95 % interval) and ``by_annotator`` (the same
        without agreement); None where there is no answer.
    """
    if not answers:
        return None
    by_annotator: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_annotator[answer.annotator or "nobody"].append(answer)
    return {
        **_figures(answers, truth, labels, sizes),
        "agreement": _kappa(answers, truth, labels, sizes),
        "by_annotator": {name: _figures(mine, truth, labels, sizes) for name, mine in sorted(by_annotator.items())},
    }


def _figures(
    answers: Sequence[Answer], truth: Mapping[str, Sequence[Shape]], labels: Sequence[str], sizes: Mapping[str, tuple]
) -> dict[str, Any]:
    """Each answer counts as a picture of its own."""
    ds: list[Shape] = []
    gt: list[Shape] = []
    places = {}
    for number, answer in enumerate(answers):
        place = f"{answer.image_id}#{number}"
        places[place] = sizes[answer.image_id]
        ds += [replace(shape, image_id=place) for shape in answer.shapes]
        gt += [replace(shape, image_id=place) for shape in truth.get(answer.image_id, [])]
    figures = compare_batch(ds, gt, labels, places, with_changes=False).to_json()
    figures.pop("changes")
    return figures | {"answers": len(answers)}


def _kappa(
    answers: Sequence[Answer], truth: Mapping[str, Sequence[Shape]], labels: Sequence[str], sizes: Mapping[str, tuple]
) -> dict[str, dict[str, float | None]]:
    rated = {}
    for number, answer in enumerate(answers):
        points = layout(POINTS, answer.image_id, *sizes[answer.image_id])
        sides = [ratings_at(shapes, points, labels) for shapes in (answer.shapes, truth.get(answer.image_id, []))]
        rated[f"{answer.image_id}#{number}"] = np.stack(sides, axis=1)
    found = agreement(rated, labels, "cohen_kappa", resamples=RESAMPLES)
    return {
        name if name != NOTHING else "all": {k: _number(getattr(e, k)) for k in ("value", "low", "high")}
        for name, e in found.items()
    }


def _number(value: float) -> float | None:
    """NaN has no place in JSON."""
    return float(value) if np.isfinite(value) else None
