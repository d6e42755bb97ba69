"""What a point count would have said: decades of CoralNet and MERMAID data are points, so outlines must compare.

Points are laid over the picture, each takes the taxon of the outline that covers it, and the share of hits comes with
Wilson's interval for a binomial share (Wilson 1927).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analytics.cover.summary import mean_interval
from analytics.quality.agreement import ratings_at
from labels.lattice import LatticeTopology
from labels.schema import Shape

CONFIDENCE = 0.95
DESIGNS = ("stratified-25", "lattice", "random-200")

POINT_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("design", pa.string(), nullable=False),
        pa.field("taxon", pa.string(), nullable=False),
        pa.field("points", pa.int32(), nullable=False),
        pa.field("hits", pa.int32(), nullable=False),
        pa.field("share", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("high", pa.float64(), nullable=False),
    ]
)


def wilson(hits: int, points: int) -> tuple[float, float]:
    """95 % interval of a binomial share; (0, 1) for no points."""
    if points <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    share = hits / points
    centre = (share + z * z / (2 * points)) / (1 + z * z / points)
    reach = z / (1 + z * z / points) * np.sqrt(share * (1 - share) / points + z * z / (4 * points * points))
    return float(max(0.0, centre - reach)), float(min(1.0, centre + reach))


def layout(
    design: str, image_id: str, width: int, height: int, topology: LatticeTopology | None = None
) -> NDArray[np.float64]:
    """Places of the points, ``(n, 2)`` pixels of the clean picture; the same for a picture every time.

    Args:
        design: ``stratified-25`` (one random point in each cell of 5 x 5), ``lattice`` (the nodes of the survey's
            strings), or ``random-200``.
        topology: for ``lattice``.

    Raises:
        ValueError: there is no such design, or ``lattice`` without a topology.
    """
    rng = np.random.default_rng(int(hashlib.sha256(f"{design}/{image_id}".encode()).hexdigest()[:16], 16))
    scale = np.array([width, height], float)
    match design:
        case "stratified-25":
            cells = np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(-1, 2)
            unit = (cells + rng.random((25, 2))) / 5
        case "random-200":
            unit = rng.random((200, 2))
        case "lattice" if topology is not None:
            unit = np.asarray(topology.unit, float)
        case _:
            raise ValueError(f"no point design {design!r}: use one of {', '.join(DESIGNS)} (lattice needs a topology)")
    return unit * scale - 0.5


def point_counts(
    image_id: str, design: str, shapes: Sequence[Shape], points: NDArray[np.float64], taxa: Sequence[str]
) -> list[dict[str, object]]:
    """Rows of :data:`POINT_SCHEMA`, one per taxon, from the outlines of one picture."""
    rated = ratings_at(shapes, points, taxa)
    counts = Counter(rated.tolist())
    return [share_row(image_id, design, taxon, counts[k], len(rated)) for k, taxon in enumerate(taxa)]


def counts_of_points(image_id: str, shapes: Sequence[Shape], groups: Mapping[str, str]) -> list[dict[str, object]]:
    """Rows of :data:`POINT_SCHEMA` from points that people labelled (CoralNet), summed up by group.

    Args:
        shapes: point rows of one picture.
        groups: label -> group (a taxon, or a functional group); a label without one is its own group.
    """
    counts = Counter(groups.get(shape.label, shape.label) for shape in shapes)
    total = sum(counts.values())
    return [share_row(image_id, "expert", group, hits, total) for group, hits in sorted(counts.items())]


def mean_of_pictures(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Cover over several pictures from their rows (of one design), the most frequent group first.

    Points of one picture lie on the same ground, so the interval comes from the differences between pictures
    (:func:`analytics.cover.mean_interval`); of a single picture it is Wilson's.
    """
    pictures = sorted({row["image_id"] for row in rows})
    by_group: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_group.setdefault(row["taxon"], {})[row["image_id"]] = row
    total = sum({row["image_id"]: row["points"] for row in rows}.values())
    found = []
    for group, mine in by_group.items():
        whole = share_row("all", rows[0]["design"], group, sum(row["hits"] for row in mine.values()), total)
        if len(pictures) > 1:
            shares = [mine[image_id]["share"] if image_id in mine else 0.0 for image_id in pictures]
            low, high = mean_interval(shares)
            whole |= {"share": float(np.mean(shares)), "low": low, "high": high}
        found.append(whole)
    return sorted(found, key=lambda row: (-float(row["share"]), str(row["taxon"])))  # type: ignore[arg-type]


def share_row(image_id: str, design: str, taxon: str, hits: int, points: int) -> dict[str, object]:
    """One row of :data:`POINT_SCHEMA`."""
    low, high = wilson(hits, points)
    return {
        "image_id": image_id,
        "design": design,
        "taxon": taxon,
        "points": points,
        "hits": hits,
        "share": hits / points if points else 0.0,
        "low": low,
        "high": high,
    }
