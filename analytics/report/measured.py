"""What stands beside cover on a release's page: what it is unsure of, and what point counts would have said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics.cover import Level, at_level, mean_interval
from analytics.cover.points import DESIGNS, wilson
from analytics.cover.summary import ALL_CORAL
from labels.taxonomy import Taxonomy

NAMES = {"stratified-25": "one in each cell", "lattice": "lattice nodes", "random-200": "at random"}
SOURCES = ("sd_labels", "sd_corners", "sd_inpainted")


def coral_hits(points: pa.Table) -> pa.Table:
    """Point counts of all coral together: ``image_id``, ``design``, ``points``, ``hits``. Without imported ones."""
    ours = points.filter(pc.is_in(points["design"], pa.array(DESIGNS)))
    sums = ours.group_by(["image_id", "design"]).aggregate([("points", "max"), ("hits", "sum")])
    return sums.rename_columns(["image_id", "design", "points", "hits"])


@dataclass(frozen=True, slots=True)
class Design:
    """How a point design does on single quadrats, beside their outlines.

    Attributes:
        half_width: half of the 95 % binomial interval of a quadrat's coral cover, median over quadrats.
        bias: mean of points less outlines.
        rms: root mean square of that difference.
    """

    name: str
    points: int
    half_width: float
    bias: float
    rms: float


def point_counts(hits: pa.Table, cover: pa.Table, taxonomy: Taxonomy) -> dict[str, Any]:
    """Coral cover of sites and years by points beside that by outlines.

    Args:
        hits: as :func:`coral_hits` gives.
        cover: rows of ``COVER_SCHEMA``.

    Returns:
        ``designs`` (a :class:`Design` each) and ``rows``: site, year, then (mean, low, high) of outlines and designs.
    """
    quadrats = {row["image_id"]: row for row in at_level(cover, taxonomy, Level.ALL).to_pylist()}
    counted: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for row in hits.to_pylist():
        if row["image_id"] in quadrats:
            counted[row["design"]][row["image_id"]] = row["hits"], row["points"]
    shown = [design for design in DESIGNS if counted.get(design)]
    places: defaultdict[tuple[Any, Any], list[str]] = defaultdict(list)
    for image_id, row in quadrats.items():
        places[row["site"], row["year"]].append(image_id)
    rows = []
    for site, year in sorted(places, key=lambda place: (place[0] or "", place[1] or 0)):
        ids = places[site, year]
        series = [[quadrats[i]["share"] for i in ids]]
        series += [[_share(counted[design][i]) for i in ids if i in counted[design]] for design in shown]
        rows.append((site, year, [_mean(values) for values in series]))
    return {"designs": [_design(name, counted[name], quadrats) for name in shown], "rows": rows if shown else []}


def _share(counts: tuple[int, int]) -> float:
    hits, points = counts
    return hits / points if points else 0.0


def _mean(values: Sequence[float]) -> tuple[float, float, float] | None:
    return (float(np.mean(values)), *mean_interval(values)) if values else None


def _design(name: str, counted: Mapping[str, tuple[int, int]], quadrats: Mapping[str, Mapping[str, Any]]) -> Design:
    intervals = [wilson(*counts) for counts in counted.values()]
    apart = np.array([_share(counts) - quadrats[image_id]["share"] for image_id, counts in counted.items()])
    return Design(
        NAMES[name],
        max(points for _, points in counted.values()),
        float(np.median([(high - low) / 2 for low, high in intervals])),
        float(apart.mean()),
        float(np.sqrt((apart**2).mean())),
    )


def doubts(cover: pa.Table, taxonomy: Taxonomy, taxa: Sequence[str]) -> list[dict[str, Any]]:
    """What the cover of a single quadrat is unsure of, all coral first, then ``taxa``.

    Returns:
        By row ``taxon``, ``mean``, and of each source the root mean square over quadrats; ``None`` = not known in some.
    """
    found = []
    whole = at_level(cover, taxonomy, Level.ALL)
    for taxon in (ALL_CORAL, *taxa):
        table = whole if taxon == ALL_CORAL else cover.filter(pc.equal(cover["taxon"], taxon))
        if table.num_rows:
            sources = {name: _rms(table[name]) for name in SOURCES}
            found.append({"taxon": taxon, "mean": float(np.mean(table["share"].to_numpy())), **sources})
    return found


def _rms(column: pa.ChunkedArray) -> float | None:
    return None if column.null_count else float(np.sqrt(np.mean(np.square(column.to_numpy()))))


def unseen(cover: pa.Table) -> tuple[float, float, float]:
    """Ground that inpainting has invented, as a share of a picture: mean, least and most over the pictures."""
    by_picture = cover.group_by("image_id").aggregate([("inpainted_share", "max")])["inpainted_share_max"].to_numpy()
    if not len(by_picture):
        return 0.0, 0.0, 0.0
    return float(by_picture.mean()), float(by_picture.min()), float(by_picture.max())
