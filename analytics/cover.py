"""Cover: the share of a quadrat that each taxon takes, from reviewed outlines on clean pictures.

Where outlines overlap, the ground is counted once, for the outline that was drawn first. Areas are those of the
outlines themselves: painting them into a raster first would add half a pixel all around, 10 % of a small colony.
Pixels that inpainting has invented are left out of numerator and denominator, and their share is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from labels.schema import Kind, Shape

RASTER_PX = 960
"""Side of the raster in which invented pixels are counted: about 1 mm of a 1 m quadrat."""
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
    picture = shapely.box(-0.5, -0.5, quadrat.width - 0.5, quadrat.height - 0.5)
    invented = _Invented(quadrat)
    taken: BaseGeometry = shapely.Polygon()
    pixels = dict.fromkeys(taxa, 0.0)
    sizes: dict[str, list[float]] = {taxon: [] for taxon in taxa}
    px_cm2 = quadrat.cm_per_px**2
    for shape in shapes:
        if shape.kind != Kind.POLYGON or shape.label not in pixels:
            continue
        outline = _polygon(shape)
        ground = outline.intersection(picture).difference(taken)
        taken = taken.union(outline)
        pixels[shape.label] += max(ground.area - invented.within(ground), 0.0)
        sizes[shape.label].append(ground.area * px_cm2)
    total = picture.area - invented.area
    common = {
        "image_id": quadrat.image_id,
        "batch": quadrat.batch,
        "survey": quadrat.survey,
        "site": quadrat.site,
        "year": quadrat.year,
        "quadrat": quadrat.quadrat,
        "inpainted_share": invented.area / picture.area,
        "valid_cm2": total * px_cm2,
    }
    return [
        {
            **common,
            "taxon": taxon,
            "share": pixels[taxon] / total if total else 0.0,
            "cm2": pixels[taxon] * px_cm2,
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


class _Invented:
    """The centres of a picture's invented pixels; each stands for ``cell`` square pixels of the picture."""

    def __init__(self, quadrat: Quadrat) -> None:
        mask = np.zeros((1, 1), np.uint8)
        if quadrat.inpainted is not None:
            mask = cv2.resize(quadrat.inpainted, (RASTER_PX, RASTER_PX), interpolation=cv2.INTER_NEAREST)
        step_x, step_y = quadrat.width / mask.shape[1], quadrat.height / mask.shape[0]
        rows, columns = np.nonzero(mask)
        # Pixel centres at integers: the picture's left edge lies at -0.5.
        self._xs, self._ys = (columns + 0.5) * step_x - 0.5, (rows + 0.5) * step_y - 0.5
        self._cell = step_x * step_y
        self.area = rows.size * self._cell

    def within(self, ground: BaseGeometry) -> float:
        """Invented square pixels inside an area."""
        if ground.is_empty or not self._xs.size:
            return 0.0
        x0, y0, x1, y1 = ground.bounds
        near = (self._xs >= x0) & (self._xs <= x1) & (self._ys >= y0) & (self._ys <= y1)
        shapely.prepare(ground)
        return float(shapely.contains_xy(ground, self._xs[near], self._ys[near]).sum()) * self._cell


def _polygon(shape: Shape) -> BaseGeometry:
    holes = [list(zip(hole[::2], hole[1::2], strict=True)) for hole in shape.holes]
    polygon = shapely.Polygon(shape.xy(), holes)
    # Outlines drawn by hand may cross themselves.
    return polygon if polygon.is_valid else shapely.make_valid(polygon)
