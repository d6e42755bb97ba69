"""Which outlines of two years are the same colony.

Outlines lie in one frame (centimetres of the later picture). Two outlines may be one colony when most of the smaller
lies in the larger and their taxa fit. The best total overlap decides one-to-one; what is left over and lies within a
colony that is taken already is a part of it: it split off, or it was fused in. Nothing here knows which year came
first, so the reversed question has the mirrored answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

CONTAINED = 0.5
"""Least share of the smaller outline that lies in the larger one."""

RELABELLED = 0.5
"""Least IoU of two outlines of taxa that do not fit: the same ground under another name. One of them is wrong."""

RELABELLED_WEIGHT = 0.5

LEAST_MARGIN = 0.6
"""Without registration a pair counts only when it holds this share of all that competes for its outlines."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A colony as one picture shows it.

    Attributes:
        ground: in centimetres, in the frame of the later picture.
        cm2: area in its own picture.
    """

    shape_id: str
    taxon: str
    ground: BaseGeometry
    cm2: float


@dataclass(frozen=True, slots=True)
class Link:
    """Two outlines of one colony, by index; ``part``: it split off or was fused in, beside the pair that leads."""

    earlier: int
    later: int
    confidence: float
    iou: float
    part: bool = False
    relabelled: bool = False


def kin(taxon: str, other: str, parents: Mapping[str, str | None]) -> bool:
    """Whether two names may mean one colony: the same, or one the parent of the other."""
    return taxon == other or parents.get(taxon) == other or parents.get(other) == taxon


def match(
    earlier: Sequence[Outline],
    later: Sequence[Outline],
    parents: Mapping[str, str | None],
    *,
    blur_cm: float = 0.0,
    registered: bool = True,
) -> list[Link]:
    """The links between two years, in the order of the earlier outlines.

    Args:
        parents: taxon -> taxon one rank up.
        blur_cm: how far outlines may lie from where they should; they are widened by it before they are compared.
        registered: without registration, pairs that others compete for are left open.

    Returns:
        Every outline leads in at most one link; with ``part`` links it belongs to one split or one fusion, never both.
    """
    if not earlier or not later:
        return []
    overlap = _Overlap(earlier, later, blur_cm)
    fits = np.array([[kin(a.taxon, b.taxon, parents) for b in later] for a in earlier])
    same = np.where(fits, np.where(overlap.contained >= CONTAINED, overlap.iou, 0.0), 0.0)
    renamed = np.where(~fits & (overlap.iou >= RELABELLED), RELABELLED_WEIGHT * overlap.iou, 0.0)
    score = same + renamed
    from scipy.optimize import linear_sum_assignment  # slow to load

    rows, columns = linear_sum_assignment(-score)
    pairs = [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if score[i, j] > 0]
    # What lies within the frame's own doubt is no evidence of a split or a fusion.
    parts = _parts(pairs, np.where(fits, overlap.shared, 0.0), same) if registered else []
    links = []
    for (i, j), part in [*((p, False) for p in pairs), *((p, True) for p in parts)]:
        # Other parts of the same colony do not compete with it.
        rivals = score.copy()
        for p, q in [*pairs, *parts]:
            if (p == i) != (q == j):
                rivals[p, q] = 0
        against = max(np.delete(rivals[i], j).max(initial=0), np.delete(rivals[:, j], i).max(initial=0))
        margin = float(score[i, j] / (score[i, j] + against))
        if not registered and margin < LEAST_MARGIN:
            continue
        certainty = float(overlap.contained[i, j]) * margin * (1.0 if fits[i, j] else RELABELLED_WEIGHT)
        links.append(Link(i, j, min(1.0, certainty), float(overlap.iou[i, j]), part, not fits[i, j]))
    kept = {(link.earlier, link.later) for link in links if not link.part}
    ends = ({i for i, _ in kept}, {j for _, j in kept})
    links = [link for link in links if not link.part or link.earlier in ends[0] or link.later in ends[1]]
    return sorted(links, key=lambda link: (link.earlier, link.later))


class _Overlap:
    """Areas that outlines share: ``shared`` in cm2, ``iou``, and ``contained``, its share of the smaller one."""

    def __init__(self, earlier: Sequence[Outline], later: Sequence[Outline], blur_cm: float) -> None:
        one, two = ([_widened(outline, blur_cm) for outline in side] for side in (earlier, later))
        self.shared: NDArray[np.float64] = np.zeros((len(one), len(two)))
        tree = shapely.STRtree(two)
        near = tree.query(one, predicate="intersects")
        for i, j in near.T:
            self.shared[i, j] = one[i].intersection(two[j]).area
        areas = np.maximum(np.array([g.area for g in one]), 1e-9)[:, None]
        others = np.maximum(np.array([g.area for g in two]), 1e-9)[None, :]
        self.iou = self.shared / np.maximum(areas + others - self.shared, 1e-9)
        self.contained = self.shared / np.minimum(areas, others)


def _widened(outline: Outline, blur_cm: float) -> BaseGeometry:
    """The ground that an outline may stand for; never much wider than the colony itself."""
    radius = float(np.sqrt(max(outline.ground.area, 0.0) / np.pi))
    by = min(blur_cm, radius)
    return outline.ground.buffer(by) if by > 0 else outline.ground


def _parts(
    pairs: Sequence[tuple[int, int]], shared: NDArray[np.float64], same: NDArray[np.float64]
) -> list[tuple[int, int]]:
    """Outlines without a partner that lie in a colony that has one: a split where it is later, else a fusion.

    A colony that would both split and fuse at once keeps what shares more ground; neither where both share the same.
    """
    taken_i, taken_j = {i for i, _ in pairs}, {j for _, j in pairs}
    splits: dict[tuple[int, int], list[tuple[int, int]]] = {}
    fusions: dict[tuple[int, int], list[tuple[int, int]]] = {}
    by_i, by_j = dict(pairs), {j: i for i, j in pairs}
    for j in range(same.shape[1]):
        whole = int(np.argmax(shared[:, j] * (same[:, j] > 0)))
        if j not in taken_j and same[whole, j] > 0 and whole in by_i:
            splits.setdefault((whole, by_i[whole]), []).append((whole, j))
    for i in range(same.shape[0]):
        whole = int(np.argmax(shared[i] * (same[i] > 0)))
        if i not in taken_i and same[i, whole] > 0 and whole in by_j:
            fusions.setdefault((by_j[whole], whole), []).append((i, whole))
    parts: list[tuple[int, int]] = []
    for pair in pairs:
        apart, joined = splits.get(pair, []), fusions.get(pair, [])
        ground = sum(shared[p] for p in apart) - sum(shared[p] for p in joined)
        parts += apart if ground > 0 else joined if ground < 0 else []
    return parts
