"""What cover of one picture is unsure of, by named source.

- **labels**: two people (or a model and a person) outline differently. Measured where a picture was outlined twice.
- **corners**: the frame's corners are off by a pixel or two, so the straightened picture is a little wrong.
- **inpainted**: what grows under strings and tape is not seen.

Each is a standard deviation of the share. They are independent of each other; squares add.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from analytics.geometry import outline_geometry
from labels.schema import Kind, Shape

DRAWS = 24
"""Of wrong corners: a standard deviation from 24 draws is itself within 15 %."""
INDEPENDENT_PIECES = 220
"""Pieces of string of CRIOBE's lattice of 11 x 11 nodes: what they cover is a sample of that many places."""


def label_sd(differences: Mapping[str, Sequence[float]], *, independent: bool) -> dict[str, float]:
    """Standard deviation of the share of a picture by taxon, from pictures that were outlined twice.

    Args:
        differences: by taxon, share of the one minus share of the other, a value per picture.
        independent: both are equally far from the truth (two people): each has half the variance of the difference.
            Otherwise (a proposal and its review) the second is taken as the truth.
    """
    part = 2.0 if independent else 1.0
    return {taxon: float(np.sqrt(np.mean(np.square(v)) / part)) if len(v) else 0.0 for taxon, v in differences.items()}


def inpainted_sd(share: float, inpainted_share: float, pieces: int = INDEPENDENT_PIECES) -> float:
    """Standard deviation of the share of the whole frame from ground that is not seen.

    Strings lie where they lie, so what grows under them is a random sample of ``pieces`` places of the picture: its
    cover is off from that of the rest by sqrt(p (1 - p) / pieces), and it weighs with the inpainted share.
    """
    bounded = min(max(share, 0.0), 1.0)
    return inpainted_share * float(np.sqrt(bounded * (1 - bounded) / pieces))


def corners_sd(
    shapes: Sequence[Shape], taxa: Sequence[str], width: int, height: int, corner_sd_px: float, seed: int = 0
) -> dict[str, float]:
    """Standard deviation of every taxon's share when each corner is off by ``corner_sd_px`` per axis.

    The picture is warped by corners drawn anew, outlines go along, and what then lies within the frame is measured.

    Args:
        shapes: polygons in pixels of the clean picture.
        corner_sd_px: pixels of the clean picture; 0 gives zeros.
        seed: of the draws.
    """
    outlines = [(s.label, outline_geometry(s)) for s in shapes if s.kind == Kind.POLYGON and s.label in taxa]
    if corner_sd_px <= 0 or not outlines:
        return dict.fromkeys(taxa, 0.0)
    rng = np.random.default_rng(seed)
    frame = shapely.box(-0.5, -0.5, width - 0.5, height - 0.5)
    square = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float32)
    geometries = np.array([outline for _, outline in outlines], dtype=object)
    found: dict[str, list[float]] = {taxon: [] for taxon in taxa}
    for _ in range(DRAWS):
        moved = square + rng.normal(0, corner_sd_px, (4, 2)).astype(np.float32)
        warp = cv2.getPerspectiveTransform(moved, square)
        areas = shapely.area(shapely.intersection(shapely.transform(geometries, _by(warp)), frame))
        for taxon in taxa:
            mine = [a for (label, _), a in zip(outlines, areas, strict=True) if label == taxon]
            found[taxon].append(float(np.sum(mine)) / frame.area)
    return {taxon: float(np.std(values, ddof=1)) for taxon, values in found.items()}


def _by(warp: NDArray[np.float64]):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a function of shapely's own kind
    def apply(points: NDArray[np.float64]) -> NDArray[np.float64]:
        bent = np.column_stack([points, np.ones(len(points))]) @ warp.T
        return bent[:, :2] / bent[:, 2:]

    return apply
