"""Cover: the share of a quadrat that each taxon takes, from reviewed outlines on clean pictures.

Where outlines overlap, the ground is counted once, for the outline that was drawn first. Areas are those of the
outlines themselves: painting them into a raster first would add half a pixel all around, 10 % of a small colony.
Pixels that inpainting has invented are left out of numerator and denominator, and their share is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from analytics.cover.uncertainty import corners_sd, inpainted_sd
from analytics.geometry import outline_geometry
from labels.schema import Kind, Shape

RASTER_PX = 960
"""Side of the raster in which invented pixels are counted: about 1 mm of a 1 m quadrat."""

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
        pa.field("sd_labels", pa.float64()),
        pa.field("sd_corners", pa.float64(), nullable=False),
        pa.field("sd_inpainted", pa.float64(), nullable=False),
    ]
)
"""``sd_*``: standard deviations of ``share`` from three named sources; see ``analytics.cover.uncertainty``. Null
``sd_labels``: not known, because no person has looked at a picture of the batch."""

COLONY_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("shape_id", pa.string(), nullable=False),
        pa.field("taxon", pa.string(), nullable=False),
        pa.field("cm2", pa.float64(), nullable=False),
        pa.field("diameter_cm", pa.float64(), nullable=False),
        pa.field("cut_off", pa.bool_(), nullable=False),
    ]
)
"""Every colony with its size. ``diameter_cm``: of a circle of its area; ``cut_off``: it reaches the frame, so its true
size is larger (leave such colonies out of size distributions)."""

EDGE_PX = 2.0
"""An outline that comes this near to the picture's edge reaches it."""


@dataclass(frozen=True, slots=True)
class Quadrat:
    """What has to be known of a picture to measure cover.

    Attributes:
        width, height: of the clean picture in pixels.
        cm_per_px: scale of the clean picture.
        inpainted: ``(h, w)`` mask of invented pixels (not 0), of any size; ``None`` when there are none.
        corner_sd_px: how far a corner of the frame may be off, standard deviation per axis in pixels of the clean
            picture.
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
    corner_sd_px: float = 0.0


def quadrat_cover(
    quadrat: Quadrat, shapes: Sequence[Shape], taxa: Sequence[str], label_sd: Mapping[str, float] | None = None
) -> list[dict[str, object]]:
    """One row of :data:`COVER_SCHEMA` per taxon, also for taxa that do not occur.

    Args:
        shapes: reviewed polygons in pixels of the clean picture.
        taxa: all taxa of the survey's taxonomy.
        label_sd: by taxon, how far two people's shares of a picture lie from the truth; ``None`` = not known.
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
        outline = outline_geometry(shape)
        ground = outline.intersection(picture).difference(taken)
        taken = taken.union(outline)
        pixels[shape.label] += max(ground.area - invented.within(ground), 0.0)
        sizes[shape.label].append(ground.area * px_cm2)
    total = picture.area - invented.area
    wobble = corners_sd(shapes, taxa, quadrat.width, quadrat.height, quadrat.corner_sd_px)
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
            "sd_labels": None if label_sd is None else label_sd.get(taxon, 0.0),
            "sd_corners": wobble.get(taxon, 0.0),
            "sd_inpainted": inpainted_sd(pixels[taxon] / total if total else 0.0, invented.area / picture.area),
        }
        for taxon in taxa
    ]


def colonies(quadrat: Quadrat, shapes: Sequence[Shape]) -> list[dict[str, object]]:
    """One row of :data:`COLONY_SCHEMA` per outline that has ground in the picture."""
    picture = shapely.box(-0.5, -0.5, quadrat.width - 0.5, quadrat.height - 0.5)
    inner = picture.buffer(-EDGE_PX)
    rows: list[dict[str, object]] = []
    for shape in shapes:
        outline = outline_geometry(shape) if shape.kind == Kind.POLYGON else None
        ground = outline.intersection(picture) if outline is not None else None
        if outline is None or ground is None or ground.area <= 0:
            continue
        area = float(ground.area) * quadrat.cm_per_px**2
        diameter = 2 * float(np.sqrt(area / np.pi))
        rows.append(
            {
                "image_id": quadrat.image_id,
                "shape_id": shape.shape_id,
                "taxon": shape.label,
                "cm2": area,
                "diameter_cm": diameter,
                "cut_off": not inner.contains(outline),
            }
        )
    return rows


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
