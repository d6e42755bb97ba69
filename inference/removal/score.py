"""How believable a removal is: whether former strings still show, and whether the mask's edge does.

Both are measured in the clean picture alone, so they work where nobody knows the truth. They say whether strings are
gone, not whether the reef under them was really so; nothing can say that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from inference.footprint import checked_nodes
from inference.removal.mask import Mask
from labels.lattice import LatticeTopology

# A line of this contrast (grey levels), and this many times its own uncertainty, is seen by people.
_VISIBLE_LEVELS = 5.0
_VISIBLE_SIGMAS = 4.0
# Reef itself has lines: up to this share of pieces is no defect.
_LEFTOVER_DEFECT = 0.02
_SEAM_UNSEEN, _SEAM_DEFECT = 1.25, 2.0
_ALIKE = 0.85
# Profiles are taken from this share of the way between two nodes to the same distance from the other.
_FROM, _SAMPLES = 0.15, 15
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class RemovalScore:
    """How believable one clean picture is.

    Attributes:
        score: 0..1, the share of pieces of string that are gone, less where the mask's edge shows.
        leftover: share of the pieces between two nodes where the string still shows.
        seam: steps over the mask's edge, relative to steps between neighbouring pixels of untouched reef; about 1 when
            the edge cannot be told.
        defects: what a person should look at, in words.
    """

    score: float
    leftover: float
    seam: float
    defects: list[str] = field(default_factory=list)


def score_removal(
    clean: NDArray[np.uint8],
    mask: Mask,
    nodes: ArrayLike,
    topology: LatticeTopology,
    string_width_px: float,
    outside: ArrayLike | None = None,
) -> RemovalScore:
    """Measure a clean picture.

    Args:
        clean: ``(S, S, 3)`` uint8 RGB, strings removed.
        mask: what was painted.
        nodes: ``(n, 2)`` rectified pixels.
        topology: which strings join the nodes.
        string_width_px: as the mask was made with.
        outside: ``(n,)`` bool, nodes without a string.

    Raises:
        ValueError: the number of nodes is not the topology's.
    """
    points = checked_nodes(nodes, topology)
    hidden = np.zeros(topology.size, bool) if outside is None else np.asarray(outside, bool)
    shows, strings = _pieces(clean, points, topology, string_width_px, hidden)
    leftover = float(shows.mean()) if shows.size else 0.0
    seam = seam_visibility(clean, mask.alpha)
    bad = sorted({int(string) for string in strings[shows]})
    defects = []
    if leftover > _LEFTOVER_DEFECT:
        named = ", ".join(str(number + 1) for number in bad[:8]) + (", ..." if len(bad) > 8 else "")
        defects.append(f"strings still show in {int(shows.sum())} of {shows.size} pieces (string {named})")
    if seam > _SEAM_DEFECT:
        defects.append(f"the mask's edge shows: steps over it are {seam:.1f} times those of the reef")
    return RemovalScore(float((1 - leftover) / max(1.0, seam / _SEAM_UNSEEN)), leftover, seam, defects)


def seam_visibility(clean: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> float:
    """Mean step from a painted to a photographed neighbour, relative to steps between photographed neighbours.

    Only reef near the mask is compared, so a picture half sand, half coral is judged by what lies beside its strings.
    Returns 1 for an empty mask, or one with nothing beside it.
    """
    hole = alpha > 0
    near = cv2.dilate(hole.astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
    luma = clean.astype(np.float32) @ _LUMA
    over = beside = 0.0
    over_count = beside_count = 0
    for axis in (0, 1):
        step = np.abs(np.diff(luma, axis=axis))
        first, second = (np.take(hole, range(k, hole.shape[axis] - 1 + k), axis) for k in (0, 1))
        close = np.take(near, range(hole.shape[axis] - 1), axis)
        edge, reef = first != second, close & ~first & ~second
        over, over_count = over + float(step[edge].sum()), over_count + int(edge.sum())
        beside, beside_count = beside + float(step[reef].sum()), beside_count + int(reef.sum())
    if not over_count or not beside_count:
        return 1.0
    # Half a grey level is rounding: without it a flat picture would divide by nothing.
    return (over / over_count + 0.5) / (beside / beside_count + 0.5)


def _pieces(
    clean: NDArray[np.uint8],
    points: NDArray[np.float64],
    topology: LatticeTopology,
    width: float,
    hidden: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """For each piece of string between two nodes: whether a line still shows there, and the string it belongs to."""
    shows, strings = [], []
    for number, string in enumerate(topology.strings):
        for a, b in pairwise(string):
            seen = not (hidden[a] and hidden[b])
            if seen and np.hypot(*(points[b] - points[a])) >= 2 * _SAMPLES:
                shows.append(_line_shows(clean, points[a], points[b], width))
                strings.append(number)
    return np.array(shows, bool), np.array(strings, np.int64)


def _line_shows(clean: NDArray[np.uint8], start: NDArray[np.float64], stop: NDArray[np.float64], width: float) -> bool:
    """Whether a line brighter or darker than both its sides runs from start to stop."""
    inner = max(1.0, width / 2)
    beyond = inner + 3 + max(2.0, width)
    offsets = np.arange(-beyond, beyond + 0.5, 1.0)
    along = stop - start
    normal = np.array([-along[1], along[0]]) / np.hypot(*along)
    share = np.linspace(_FROM, 1 - _FROM, _SAMPLES)
    spots = (start + share[:, None] * along)[:, None] + offsets[None, :, None] * normal
    grid = spots.astype(np.float32)
    profile = cv2.remap(clean, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    luma = profile.astype(np.float32) @ _LUMA
    line = luma[:, np.abs(offsets) <= inner].mean(axis=1)
    sides = np.stack([luma[:, sign * offsets >= inner + 3].mean(axis=1) for sign in (-1, 1)])
    # Between the two sides lies the edge of a colony, not a string.
    above = np.where(line > sides.mean(axis=0), line - sides.max(axis=0), line - sides.min(axis=0))
    contrast = float(np.median(above))
    spread = float(np.std(above)) / np.sqrt(_SAMPLES) + 0.5
    alike = float((np.sign(above) == np.sign(contrast)).mean())
    return abs(contrast) > max(_VISIBLE_LEVELS, _VISIBLE_SIGMAS * spread) and alike >= _ALIKE
