"""Agreement between people (or a person and a model) beyond chance, per class, with intervals.

The units are points laid over pictures, rated by each person with the taxon whose outline covers the point: what
ecologists have done with point counts for decades, so the figures compare. Intervals come from resampling pictures,
since points of one picture are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from analytics.geometry import outline_geometry
from labels.schema import Kind, Shape

NOTHING = ""
"""Rating of a point that no outline covers."""
NOT_RATED = -1


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; NaN where it is not defined (nobody disagrees because nothing varies)."""

    value: float
    low: float
    high: float


def ratings_at(shapes: Sequence[Shape], points: ArrayLike, labels: Sequence[str]) -> NDArray[np.int64]:
    """What one person's outlines say at points of one picture.

    Args:
        shapes: of one picture; where outlines overlap, the first one counts, as in cover.
        points: ``(n, 2)`` pixels of the same picture.
        labels: all labels that may occur.

    Returns:
        ``(n,)`` int64: index into ``labels``, or ``len(labels)`` where nothing is outlined.
    """
    places = np.asarray(points, float).reshape(-1, 2)
    index = {label: i for i, label in enumerate(labels)}
    rated = np.full(len(places), len(labels), np.int64)
    for shape in reversed([s for s in shapes if s.kind == Kind.POLYGON]):
        geometry = outline_geometry(shape)
        shapely.prepare(geometry)
        rated[shapely.intersects_xy(geometry, places[:, 0], places[:, 1])] = index[shape.label]
    return rated


def cohen_kappa(ratings: NDArray[np.int64]) -> float:
    """Cohen's kappa of two raters (Cohen 1960): agreement beyond what their own label frequencies give by chance.

    Args:
        ratings: ``(n, 2)`` category numbers; rows with ``NOT_RATED`` are left out.
    """
    rated = ratings[(ratings != NOT_RATED).all(axis=1)]
    if not len(rated):
        return float("nan")
    categories = int(rated.max()) + 1
    shares = np.stack([np.bincount(rated[:, k], minlength=categories) for k in (0, 1)]) / len(rated)
    chance = float((shares[0] * shares[1]).sum())
    agreed = float((rated[:, 0] == rated[:, 1]).mean())
    return (agreed - chance) / (1 - chance) if chance < 1 else float("nan")


def fleiss_kappa(ratings: NDArray[np.int64]) -> float:
    """Fleiss' kappa of any fixed number of raters (Fleiss 1971).

    Args:
        ratings: ``(n, raters)`` category numbers; rows with ``NOT_RATED`` are left out.
    """
    rated = ratings[(ratings != NOT_RATED).all(axis=1)]
    if not len(rated) or rated.shape[1] < 2:
        return float("nan")
    counts, raters = _counts(rated), rated.shape[1]
    agreed = ((counts**2).sum(axis=1) - raters) / (raters * (raters - 1))
    chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return (float(agreed.mean()) - chance) / (1 - chance) if chance < 1 else float("nan")


def krippendorff_alpha(ratings: NDArray[np.int64]) -> float:
    """Krippendorff's alpha for categories (Krippendorff 2011); takes missing ratings and any number of raters.

    Args:
        ratings: ``(n, raters)`` category numbers, ``NOT_RATED`` where a rater did not look.
    """
    counts = _counts(ratings)
    several = counts[counts.sum(axis=1) >= 2]
    if not len(several):
        return float("nan")
    size = several.sum(axis=1)
    # Coincidence matrix: pairs of ratings within a unit, each unit weighing as many values as it has.
    observed = ((several**2 - several) / (size - 1)[:, None]).sum()
    totals = several.sum(axis=0)
    values = float(totals.sum())
    disagreed = 1 - float(observed) / values
    expected = 1 - float((totals * (totals - 1)).sum()) / (values * (values - 1))
    return 1 - disagreed / expected if expected > 0 else float("nan")


STATISTICS: dict[str, Callable[[NDArray[np.int64]], float]] = {
    "cohen_kappa": cohen_kappa,
    "fleiss_kappa": fleiss_kappa,
    "krippendorff_alpha": krippendorff_alpha,
}


def agreement(
    pictures: Mapping[str, NDArray[np.int64]],
    labels: Sequence[str],
    statistic: str,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """A statistic over all labels (key ``""``) and for every label against the rest, with bootstrap intervals.

    Args:
        pictures: ``(points, raters)`` ratings of every picture, as :func:`ratings_at` gives them side by side.
        labels: names of the categories; the number after the last means "nothing outlined".
        statistic: one of ``STATISTICS``.
        resamples: of pictures, for the 95 % percentile interval.
        seed: of the resampling.

    Raises:
        ValueError: there is no picture, or no such statistic.
    """
    if statistic not in STATISTICS:
        raise ValueError(f"no statistic {statistic!r}: use one of {', '.join(STATISTICS)}")
    if not pictures:
        raise ValueError("no picture was rated by two people")
    of = STATISTICS[statistic]
    parts = list(pictures.values())
    draws = np.random.default_rng(seed).integers(len(parts), size=(resamples, len(parts)))
    found = {NOTHING: _estimate(of, parts, draws)}
    for number, label in enumerate(labels):
        against = [np.where(p == NOT_RATED, NOT_RATED, (p == number).astype(np.int64)) for p in parts]
        if any((p == 1).any() for p in against):
            found[label] = _estimate(of, against, draws)
    return found


def _estimate(
    of: Callable[[NDArray[np.int64]], float], parts: Sequence[NDArray[np.int64]], draws: NDArray[np.int64]
) -> Estimate:
    value = of(np.concatenate(parts))
    again = [of(np.concatenate([parts[k] for k in draw])) for draw in draws]
    known = [v for v in again if np.isfinite(v)]
    if not known:
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.percentile(known, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def _counts(ratings: NDArray[np.int64]) -> NDArray[np.float64]:
    """How often each unit was put into each category, ``(n, categories)``."""
    categories = int(ratings.max(initial=0)) + 1
    return np.stack([(ratings == c).sum(axis=1) for c in range(categories)], axis=1).astype(float)
