"""Two models on the same pictures: figures per taxon with bootstrap intervals over quadrats, and the rule.

Pictures of one quadrat show the same ground, so they are drawn together: a resample takes quadrats, with replacement,
and both models are measured on the same one, which makes the interval of their difference a paired one (Efron and
Tibshirani 1993, chapter 8: percentile interval of a cluster bootstrap). Average precision is at mask IoU 0.5 with
COCO's 101 recall points; IoU is the common area of a taxon over its joint area, all pictures together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely import STRtree, make_valid
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

MATCH_IOU = 0.5
RECALLS = np.linspace(0, 1, 101)
ROUNDS = 1000
LEVEL = 0.95
MIN_QUADRATS = 5
"""Fewer quadrats give intervals that say nothing: the rule then never promotes."""


@dataclass(frozen=True, slots=True)
class Region:
    """A colony, true or proposed: its taxon and its ground in pixels; ``score`` of a proposal."""

    label: str
    shape: BaseGeometry
    score: float = 1.0


@dataclass(slots=True)
class PictureScore:
    """How a model did on one picture, by taxon.

    Attributes:
        hits: (score, whether it met a colony) of each proposal.
        truths: number of colonies.
        areas: common and joint area of proposals and colonies, in square pixels.
    """

    quadrat: str
    hits: dict[str, list[tuple[float, bool]]] = field(default_factory=dict)
    truths: dict[str, int] = field(default_factory=dict)
    areas: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rule says."""

    better: bool
    why: str


def region(label: str, ring: Any, holes: Sequence[Any] = (), score: float = 1.0) -> Region:
    """A colony from its rings ``(n, 2)`` in pixels; outlines that cross themselves are mended."""
    shape = Polygon(np.asarray(ring, float), [np.asarray(hole, float) for hole in holes])
    return Region(label, shape if shape.is_valid else make_valid(shape), score)


def score_picture(quadrat: str, proposals: Sequence[Region], truth: Sequence[Region]) -> PictureScore:
    """Match proposals to colonies, best score first; a colony is met once, by a proposal of its taxon."""
    result = PictureScore(quadrat)
    for label in sorted({item.label for item in (*proposals, *truth)}):
        mine = sorted((p for p in proposals if p.label == label), key=lambda p: -p.score)
        real = [t.shape for t in truth if t.label == label]
        result.truths[label] = len(real)
        result.hits[label] = _match(mine, real)
        seen, there = unary_union([p.shape for p in mine]), unary_union(real)
        common = seen.intersection(there).area
        result.areas[label] = (common, seen.area + there.area - common)
    return result


def _match(proposals: Sequence[Region], real: Sequence[BaseGeometry]) -> list[tuple[float, bool]]:
    tree, free, hits = STRtree(real), set(range(len(real))), []
    for proposal in proposals:
        near = [int(i) for i in tree.query(proposal.shape) if int(i) in free]
        best = max(((_iou(proposal.shape, real[i]), i) for i in near), default=(0.0, -1))
        met = best[0] >= MATCH_IOU
        hits.append((proposal.score, met))
        if met:
            free.discard(best[1])
    return hits


def _iou(a: BaseGeometry, b: BaseGeometry) -> float:
    common = a.intersection(b).area
    joint = a.area + b.area - common
    return float(common / joint) if joint > 0 else 0.0


class _Taxon:
    """One taxon's counts for one model, as arrays by quadrat, so that a resample is a vector of weights."""

    def __init__(self, scores: Sequence[PictureScore], label: str, place: Mapping[str, int]) -> None:
        rows = [(score, met, place[s.quadrat]) for s in scores for score, met in s.hits.get(label, [])]
        rows.sort(key=lambda row: -row[0])
        self.met = np.array([row[1] for row in rows], float)
        self.quadrat = np.array([row[2] for row in rows], int)
        self.truths = np.zeros(len(place))
        self.common, self.joint = np.zeros(len(place)), np.zeros(len(place))
        for s in scores:
            self.truths[place[s.quadrat]] += s.truths.get(label, 0)
            common, joint = s.areas.get(label, (0.0, 0.0))
            self.common[place[s.quadrat]] += common
            self.joint[place[s.quadrat]] += joint

    def figures(self, weights: NDArray[np.float64]) -> tuple[float, float]:
        """Average precision and IoU when each quadrat counts ``weights`` times; NaN without any colony."""
        total = float(weights @ self.truths)
        if total == 0:
            return np.nan, np.nan
        joint = float(weights @ self.joint)
        return self._precision(weights, total), float(weights @ self.common) / joint if joint else 0.0

    def _precision(self, weights: NDArray[np.float64], total: float) -> float:
        if not self.met.size:
            return 0.0
        each = weights[self.quadrat]
        true, all_ = np.cumsum(each * self.met), np.cumsum(each)
        precision = np.divide(true, all_, out=np.zeros_like(true), where=all_ > 0)
        best_after = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
        return float(best_after[np.searchsorted(true / total, RECALLS - 1e-12)].mean())


def compare(
    candidate: Sequence[PictureScore],
    champion: Sequence[PictureScore] | None,
    taxa: Sequence[str],
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> dict[str, Any]:
    """Figures of both models per taxon and over all, with intervals; plain data for JSON.

    Args:
        candidate: its scores, one per picture.
        champion: those of the other model on the same pictures; ``None`` when there is no other.
        taxa: of the taxonomy; those without a colony in these pictures are left out.
        rounds: number of resamples.
        seed: of the resampling.

    Returns:
        ``pictures``, ``quadrats``, ``rounds``, ``level``, ``taxa`` (by name) and ``overall``; of each ``colonies`` and,
        for ``candidate``, ``champion`` and ``difference``, ``ap50`` and ``iou`` as ``[value, low, high]``.
    """
    names = sorted({score.quadrat for score in candidate})
    place = {name: number for number, name in enumerate(names)}
    present = [t for t in taxa if any(score.truths.get(t, 0) for score in candidate)]
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), rounds).astype(float)
    weights = np.vstack([np.ones(len(names)), draws])  # the first row is the pictures as they are
    models = {"candidate": candidate} | ({} if champion is None else {"champion": champion})
    counts = {model: [_Taxon(scores, taxon, place) for taxon in present] for model, scores in models.items()}
    values = {
        model: np.array([[taxon.figures(drawn) for drawn in weights] for taxon in taxa_])
        for model, taxa_ in counts.items()
    }
    if "champion" in values:
        values["difference"] = values["candidate"] - values["champion"]
    per_taxon: dict[str, dict[str, Any]] = {
        taxon: {
            "colonies": sum(score.truths.get(taxon, 0) for score in candidate),
            **{model: _intervals(table[i]) for model, table in values.items()},
        }
        for i, taxon in enumerate(present)
    }
    overall = {model: _intervals(np.nanmean(table, axis=0)) for model, table in values.items() if present}
    colonies = sum(entry["colonies"] for entry in per_taxon.values())
    return {
        "pictures": len(candidate),
        "quadrats": len(names),
        "rounds": rounds,
        "level": LEVEL,
        "taxa": per_taxon,
        "overall": {"colonies": colonies, **overall},
    }


def _intervals(table: NDArray[np.float64]) -> dict[str, list[float | None]]:
    """``[value, low, high]`` of AP and IoU from rows of the pictures as they are and of the resamples."""
    found: dict[str, list[float | None]] = {}
    for column, name in enumerate(("ap50", "iou")):
        drawn = table[1:, column][~np.isnan(table[1:, column])]
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if drawn.size else (np.nan, np.nan)
        found[name] = [None if np.isnan(v) else round(float(v), 4) for v in (table[0, column], low, high)]
    return found


def judge(comparison: Mapping[str, Any], margin: float = 0.0) -> Verdict:
    """The rule: better when the whole interval of the difference in mean average precision lies above ``margin``."""
    quadrats, overall = comparison["quadrats"], comparison["overall"]
    if not overall["colonies"]:
        return Verdict(False, "the validation pictures hold no colony, so there is nothing to compare on")
    if "difference" not in overall:
        return Verdict(True, "no version is promoted yet, so there is none to beat")
    value, low, high = overall["difference"]["ap50"]
    said = f"mAP50 differs by {value:+.3f} ({LEVEL:.0%} interval {low:+.3f} to {high:+.3f}, {quadrats} quadrats)"
    if quadrats < MIN_QUADRATS:
        return Verdict(False, f"{said}; fewer than {MIN_QUADRATS} quadrats decide nothing")
    better = low > margin
    return Verdict(better, f"{said}; the interval {'lies' if better else 'does not lie'} above {margin:+.3f}")
