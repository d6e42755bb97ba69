"""Rules that a picture's outlines should keep, whoever drew them: what breaks one is named, with the shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from shapely import STRtree
from shapely.geometry import Polygon, box
from shapely.validation import explain_validity

from analytics.geometry import outline_geometry
from labels.schema import Kind, Shape
from labels.survey_model import Rule


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """Bounds. Lengths and areas in pixels of the picture."""

    overlap_share: float = 0.1
    """Largest share of the smaller outline that may lie in another."""
    duplicate_iou: float = 0.9
    sliver_ratio: float = 0.08
    """4 pi area / perimeter2 below this is a sliver (a circle has 1, a square 0.79, a 1:50 strip 0.06)."""
    least_area_px: float = 16.0
    most_points: int = 10_000


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that was broken. ``other_id``: the second shape, where it takes two; ``value``: how badly."""

    image_id: str
    rule: Rule
    shape_id: str
    other_id: str | None
    value: float
    text: str


def broken_rules(
    shapes: Sequence[Shape], width: int, height: int, settings: RuleSettings | None = None
) -> list[Broken]:
    """Check the polygons of one picture: tiny, sliver, self-crossing, out of frame, overlap, duplicate, huge."""
    bounds = settings or RuleSettings()
    outlines = [s for s in shapes if s.kind == Kind.POLYGON]
    found = [broken for shape in outlines for broken in _alone(shape, width, height, bounds)]
    return [*found, *_together(outlines, bounds)]


def _alone(shape: Shape, width: int, height: int, bounds: RuleSettings) -> list[Broken]:
    def broken(rule: Rule, value: float, text: str) -> Broken:
        return Broken(shape.image_id, rule, shape.shape_id, None, value, text)

    points = np.array(shape.points, float).reshape(-1, 2)
    if not np.isfinite(points).all():
        return [broken(Rule.NOT_A_NUMBER, float("nan"), "has coordinates that are no numbers: draw it anew")]
    if len(points) < 3:
        return [broken(Rule.TINY, 0.0, f"has {len(points)} points, an outline needs three: delete it or draw it anew")]
    found = []
    if len(points) > bounds.most_points:
        found.append(broken(Rule.HUGE, len(points), f"has {len(points)} points: simplify it"))
    ring = Polygon(points)
    if not ring.is_valid:
        found.append(broken(Rule.SELF_CROSSING, 1.0, f"crosses itself ({explain_validity(ring)})"))
    whole = outline_geometry(shape)
    area = float(whole.area)
    if area < bounds.least_area_px:
        found.append(broken(Rule.TINY, area, f"covers {area:.1f} px"))
    roundness = 4 * np.pi * area / max(float(whole.length) ** 2, 1e-9)
    if area >= bounds.least_area_px and roundness < bounds.sliver_ratio:
        found.append(broken(Rule.SLIVER, float(roundness), f"is a sliver (roundness {roundness:.3f})"))
    outside = area - float(whole.intersection(box(-0.5, -0.5, width - 0.5, height - 0.5)).area)
    if area and outside / area > 1e-3:
        found.append(broken(Rule.OUT_OF_FRAME, outside / area, f"lies out of the picture with {outside / area:.1%}"))
    return found


def _together(outlines: Sequence[Shape], bounds: RuleSettings) -> list[Broken]:
    geometries = [outline_geometry(s) for s in outlines]
    if len(geometries) < 2:
        return []
    found = []
    for i, j in zip(*STRtree(geometries).query(geometries, predicate="intersects").tolist(), strict=True):
        if i >= j:
            continue
        one, other = geometries[i], geometries[j]
        common = float(one.intersection(other).area)
        least = min(one.area, other.area)
        union = one.area + other.area - common
        first, second = outlines[i], outlines[j]
        if union and common / union >= bounds.duplicate_iou:
            text = f"is drawn twice ({first.label} and {second.label})"
            found.append(Broken(first.image_id, Rule.DUPLICATE, first.shape_id, second.shape_id, common / union, text))
        elif least and common / least > bounds.overlap_share:
            text = f"overlaps a {second.label} by {common / least:.0%} of the smaller one"
            found.append(Broken(first.image_id, Rule.OVERLAP, first.shape_id, second.shape_id, common / least, text))
    return found
