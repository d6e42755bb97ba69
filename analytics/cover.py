"""Cover: the share of a quadrat that each taxon takes, from reviewed outlines on clean pictures.

Where outlines overlap, the ground is counted once, for the outline that was drawn first. Pixels that inpainting has
invented are left out of numerator and denominator, and their share is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labels.schema import Kind, Shape

RASTER_PX = 960
"""Side of the raster in which ground is counted: 0.1 % of a 1 m quadrat is about 920 of its pixels."""
RESAMPLES = 2000

COVER_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("batch", pa.string(), nullable=False),
        pa.field("survey", pa.string(), nullable=False),
        pa.field("site", pa.string()),
        pa.field("year", pa.int32()),
        pa.field("quadrat", pa.string()),
        pa.field("taxon", pa.string(), nullable=False),
        pa.field("share", pa.float64(), nullable=False),
        pa.field("cm2", pa.float64(), nullable=False),
        pa.field("colonies", pa.int32(), nullable=False),
        pa.field("mean_colony_cm2", pa.float64()),
        pa.field("inpainted_share", pa.float64(), nullable=False),
        pa.field("valid_cm2", pa.float64(), nullable=False),
    ]
)

SUMMARY_SCHEMA = pa.schema(
    [
        pa.field("taxon", pa.string(), nullable=False),
        pa.field("site", pa.string()),
        pa.field("year", pa.int32()),
        pa.field("quadrats", pa.int32(), nullable=False),
        pa.field("mean", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("high", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Quadrat:
    """What has to be known of a picture to measure cover.

    Attributes:
        width, height: of the clean picture in pixels.
        cm_per_px: scale of the clean picture.
        inpainted: ``(h, w)`` mask of invented pixels (not 0), of any size; ``None`` when there are none.
    """

    image_id: str
    batch: str
    survey: str
    width: int
    height: int
    cm_per_px: float
    site: str | None = None
    year: int | None = None
    quadrat: str | None = None
    inpainted: NDArray[np.uint8] | None = None


def quadrat_cover(quadrat: Quadrat, shapes: Sequence[Shape], taxa: Sequence[str]) -> list[dict[str, object]]:
    """One row of :data:`COVER_SCHEMA` per taxon, also for taxa that do not occur.

    Args:
        shapes: reviewed polygons in pixels of the clean picture.
        taxa: all taxa of the survey's taxonomy.
    """
    side = RASTER_PX
    scale = np.array([side / quadrat.width, side / quadrat.height])
    valid = np.ones((side, side), bool)
    if quadrat.inpainted is not None:
        valid = cv2.resize(quadrat.inpainted, (side, side), interpolation=cv2.INTER_NEAREST) == 0
    taken = np.zeros((side, side), bool)
    pixels = dict.fromkeys(taxa, 0)
    sizes: dict[str, list[float]] = {taxon: [] for taxon in taxa}
    cell_cm2 = (quadrat.width * quadrat.cm_per_px / side) * (quadrat.height * quadrat.cm_per_px / side)
    for shape in shapes:
        if shape.kind != Kind.POLYGON or shape.label not in pixels:
            continue
        ground = _raster(shape, scale, side) & ~taken
        taken |= ground
        pixels[shape.label] += int((ground & valid).sum())
        sizes[shape.label].append(float(ground.sum()) * cell_cm2)
    total = int(valid.sum())
    common = {
        "image_id": quadrat.image_id,
        "batch": quadrat.batch,
        "survey": quadrat.survey,
        "site": quadrat.site,
        "year": quadrat.year,
        "quadrat": quadrat.quadrat,
        "inpainted_share": 1 - total / side**2,
        "valid_cm2": total * cell_cm2,
    }
    return [
        {
            **common,
            "taxon": taxon,
            "share": pixels[taxon] / total if total else 0.0,
            "cm2": pixels[taxon] * cell_cm2,
            "colonies": len(sizes[taxon]),
            "mean_colony_cm2": float(np.mean(sizes[taxon])) if sizes[taxon] else None,
        }
        for taxon in taxa
    ]


def summarise(cover: pa.Table, seed: int = 1) -> pa.Table:
    """Mean cover per taxon, site and year with a 95 % interval, by bootstrap over quadrats (percentile method).

    With one quadrat the interval is that quadrat's value: it says nothing about the site, and ``quadrats`` shows it.
    """
    groups: dict[tuple[str, str | None, int | None], list[float]] = {}
    for row in cover.select(["taxon", "site", "year", "share"]).to_pylist():
        groups.setdefault((row["taxon"], row["site"], row["year"]), []).append(row["share"])
    rng = np.random.default_rng(seed)
    rows = []
    for taxon, site, year in sorted(groups, key=lambda k: (k[0], k[1] or "", k[2] or 0)):
        shares = np.array(groups[taxon, site, year])
        means = shares[rng.integers(0, len(shares), (RESAMPLES, len(shares)))].mean(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        mean = float(shares.mean())
        rows.append(
            {
                "taxon": taxon,
                "site": site,
                "year": year,
                "quadrats": len(shares),
                "mean": mean,
                "low": float(min(low, mean)),
                "high": float(max(high, mean)),
            }
        )
    return pa.Table.from_pylist(rows, schema=SUMMARY_SCHEMA)


def _raster(shape: Shape, scale: NDArray[np.float64], side: int) -> NDArray[np.bool_]:
    mask = np.zeros((side, side), np.uint8)
    rings = [(shape.points, 1), *((hole, 0) for hole in shape.holes)]
    for flat, value in rings:
        # Pixel centres at integers: the picture's left edge lies at -0.5.
        ring = (np.array(flat).reshape(-1, 2) + 0.5) * scale - 0.5
        cv2.fillPoly(mask, [np.round(ring * 16).astype(np.int32)], value, cv2.LINE_8, 4)
    return mask > 0
