"""Annotators against each other, where several have drawn the same pictures.

Three views, since each hides what another shows: points (agreement beyond chance, as with point counts), outlines (how
many colonies find their like), and cover (how far apart people's figures are, the ecologist's question).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.cover.points import layout
from analytics.quality.agreement import NOT_RATED, NOTHING, Estimate, agreement, cohen_kappa, ratings_at
from analytics.quality.detection import cover_differences
from analytics.quality.pictures import compare_picture
from labels.schema import Shape

POINTS = "random-200"
RESAMPLES = 400
SEED = 0


@dataclass(frozen=True, slots=True)
class Drawing:
    """What one person drew on one picture. ``person``: a user name, or the job where nobody is named."""

    image_id: str
    person: str
    shapes: Sequence[Shape]


def between_annotators(
    drawings: Sequence[Drawing], labels: Sequence[str], sizes: Mapping[str, tuple[int, int]]
) -> dict[str, Any] | None:
    """Agreement of people who drew the same pictures.

    Args:
        drawings: one per person and picture.
        labels: all labels that may occur.
        sizes: (width, height) by image id.

    Returns:
        ``pictures`` and ``people``; ``alpha``: Krippendorff's alpha at 200 points a picture, ``dice``: 2 x pairs / all
        outlines of both, each for ``all`` and per label with a 95 % interval from resampling pictures; ``cover_sd``:
        standard deviation between people of a label's share of the picture; ``pairs``: for every two people their
        pictures, Cohen's kappa, Dice and mean IoU; ``None`` where no picture was drawn twice.
    """
    by_picture: dict[str, list[Drawing]] = defaultdict(list)
    for drawing in drawings:
        by_picture[drawing.image_id].append(drawing)
    several = {image_id: mine for image_id, mine in sorted(by_picture.items()) if len(mine) > 1}
    if not several:
        return None
    raters = max(len(mine) for mine in several.values())
    rated = {image_id: _ratings(mine, labels, sizes[image_id], raters) for image_id, mine in several.items()}
    matches = [_matched(mine, labels, sizes[image_id]) for image_id, mine in several.items()]
    return {
        "pictures": len(several),
        "people": sorted({drawing.person for mine in several.values() for drawing in mine}),
        "alpha": _told(agreement(rated, labels, "krippendorff_alpha", resamples=RESAMPLES, seed=SEED)),
        "dice": _told(_dice(matches, labels)),
        "cover_sd": _cover_sd(several, labels, sizes),
        "pairs": [_pair(*people, several, rated, labels, sizes) for people in _pairs(several)],
    }


def _ratings(
    drawings: Sequence[Drawing], labels: Sequence[str], size: tuple[int, int], raters: int
) -> NDArray[np.int64]:
    """``(points, raters)``; the order of people is that of the drawings."""
    points = layout(POINTS, drawings[0].image_id, *size)
    rated = np.full((len(points), raters), NOT_RATED, np.int64)
    for column, drawing in enumerate(drawings):
        rated[:, column] = ratings_at(drawing.shapes, points, labels)
    return rated


def _matched(drawings: Sequence[Drawing], labels: Sequence[str], size: tuple[int, int]) -> NDArray[np.int64]:
    """``(labels, 2)``: pairs of outlines of a label, and outlines of both, over all pairs of people."""
    total = np.zeros((len(labels), 2), np.int64)
    for one, other in combinations(drawings, 2):
        matrix = compare_picture(one.image_id, one.shapes, other.shapes, tuple(labels), size).confusion.matrix
        total[:, 0] += np.diag(matrix)[:-1]
        total[:, 1] += (matrix.sum(axis=0) + matrix.sum(axis=1))[:-1]
    return total


def _dice(matches: Sequence[NDArray[np.int64]], labels: Sequence[str]) -> dict[str, Estimate]:
    """Dice of outlines for all labels together, and for each that occurs."""
    whole = np.stack(matches)
    draws = np.random.default_rng(SEED).integers(len(whole), size=(RESAMPLES, len(whole)))
    found = {NOTHING: _share(whole.sum(axis=1), draws)}
    for place, label in enumerate(labels):
        if whole[:, place, 1].any():
            found[label] = _share(whole[:, place], draws)
    return found


def _share(counts: NDArray[np.int64], draws: NDArray[np.int64]) -> Estimate:
    """2 x pairs / outlines. ``counts``: ``(pictures, 2)``."""
    pairs, outlines = counts.sum(axis=0)
    again = counts[draws].sum(axis=1)
    known = again[again[:, 1] > 0]
    shares = 2 * known[:, 0] / known[:, 1]
    low, high = np.percentile(shares, [2.5, 97.5]) if len(shares) else (np.nan, np.nan)
    return Estimate(float(2 * pairs / outlines) if outlines else float("nan"), float(low), float(high))


def _cover_sd(
    several: Mapping[str, Sequence[Drawing]], labels: Sequence[str], sizes: Mapping[str, tuple[int, int]]
) -> dict[str, float]:
    """Within-picture standard deviation of shares, from differences of all pairs (half their mean square)."""
    squares: dict[str, list[float]] = defaultdict(list)
    for image_id, drawings in several.items():
        per_label: dict[str, list[float]] = defaultdict(list)
        for one, other in combinations(drawings, 2):
            found = cover_differences(one.shapes, other.shapes, labels, {image_id: sizes[image_id]})
            for label, [difference] in found.items():
                per_label[label].append(difference**2 / 2)
        for label, values in per_label.items():
            squares[label].append(float(np.mean(values)))
    return {label: float(np.sqrt(np.mean(values))) for label, values in squares.items() if any(values)}


def _pairs(several: Mapping[str, Sequence[Drawing]]) -> Iterator[tuple[str, str]]:
    yield from sorted({
        (one, other)
        for mine in several.values()
        for one, other in combinations(sorted({drawing.person for drawing in mine}), 2)
    })  # fmt: skip


def _pair(
    one: str,
    other: str,
    several: Mapping[str, Sequence[Drawing]],
    rated: Mapping[str, NDArray[np.int64]],
    labels: Sequence[str],
    sizes: Mapping[str, tuple[int, int]],
) -> dict[str, Any]:
    """How two people agree on the pictures that both drew."""
    ratings, counts, overlaps, pictures = [], np.zeros(2, np.int64), [], 0
    for image_id, drawings in several.items():
        place = {drawing.person: column for column, drawing in enumerate(drawings)}
        if one not in place or other not in place:
            continue
        pictures += 1
        ratings.append(rated[image_id][:, [place[one], place[other]]])
        mine, theirs = (drawings[place[person]].shapes for person in (one, other))
        found = compare_picture(image_id, mine, theirs, tuple(labels), sizes[image_id])
        counts += np.array([found.confusion.valid, found.confusion.ds_count + found.confusion.gt_count])
        overlaps += [value for _, _, value in found.pairs]
    kappa = cohen_kappa(np.concatenate(ratings))
    return {
        "people": [one, other],
        "pictures": pictures,
        "kappa": _number(kappa),
        "dice": float(2 * counts[0] / counts[1]) if counts[1] else None,
        "mean_iou": float(np.mean(overlaps)) if overlaps else None,
    }


def _told(found: Mapping[str, Estimate]) -> dict[str, dict[str, float | None]]:
    return {
        label if label != NOTHING else "all": {name: _number(getattr(e, name)) for name in ("value", "low", "high")}
        for label, e in found.items()
    }


def _number(value: float) -> float | None:
    """NaN has no place in JSON."""
    return float(value) if np.isfinite(value) else None
