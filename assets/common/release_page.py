"""The page of a release for people, collected from the store: from the release itself and from what lies beside it.

Batches are read one after the other, so memory holds the release's cover table, the sizes of its colonies, a line of
point counts per picture and the worst pictures' outlines, whatever the size of the release. No Dagster.
"""

from __future__ import annotations

import heapq
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analytics.quality import What
from analytics.release import EXPORTERS, ReleasePlan
from analytics.report import BatchLine, Picture, ReleaseReport, Worst, release_report
from analytics.report.measured import coral_hits
from assets.colonies import picture_key, tracks_of
from assets.common.metadata import thumbnail
from assets.common.stage import shapes_by_image
from assets.corals import GATE as CORALS
from assets.cover import COLONIES, POINTS
from assets.quality import CHANGES, OVERLAY_PX, page_key, report_key
from resources.object_store import ObjectStore
from resources.releases import release_key
from resources.tables import BatchTables, NotMadeYetError

STAGE = "datasets/release"
WORST_SHOWN, YEARS_SHOWN = 9, 4
_DONE = {
    What.ADDED.value: "not proposed, drawn by a person",
    What.DELETED.value: "proposed, deleted by a person",
    What.RESHAPED.value: "reshaped",
}


def page_of_release(name: str) -> str:
    """Where the page lies in the store."""
    return f"reports/{STAGE}/{name}.html"


def write_page(tables: BatchTables, plan: ReleasePlan, record: Mapping[str, Any]) -> str:
    """Make the page of a finished release; its address.

    Raises:
        MissingObjectError: a picture or table of the release is gone from the store.
    """
    tables.store.put(page_of_release(plan.name), release_report(collect(tables, plan, record)))
    return tables.store.uri(page_of_release(plan.name))


def collect(tables: BatchTables, plan: ReleasePlan, record: Mapping[str, Any]) -> ReleaseReport:
    """What the page of a release is made of."""
    with tempfile.TemporaryDirectory() as folder:
        images, cover = (_table(tables.store, plan.name, part, Path(folder)) for part in ("images", "cover"))
    by_batch: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in images.select(_COLUMNS).to_pylist():
        by_batch[row["batch"]][row["image_id"]] = row
    worst: list[_Changed] = []
    sizes: defaultdict[str, list[NDArray[np.float64]]] = defaultdict(list)
    cut_off: Counter[str] = Counter()
    points: list[pa.Table] = []
    for batch in sorted(by_batch):
        points += _points(tables, plan, batch)
        worst = heapq.nlargest(WORST_SHOWN, [*worst, *_changed(tables, batch, by_batch[batch])], key=_rank)
        for taxon, whole, cut in _sizes(tables, plan, batch, by_batch[batch]):
            sizes[taxon].append(whole)
            cut_off[taxon] += cut
    tracks, years = _years(tables, images)
    return ReleaseReport(
        record,
        plan.citation or plan.name,
        plan.taxonomy,
        cover,
        [_line(tables, batch) for batch in sorted(by_batch)],
        list(_overlays(tables, worst, by_batch)),
        {taxon: np.concatenate(parts) for taxon, parts in sizes.items()},
        cut_off,
        tracks,
        years,
        {name: EXPORTERS[name].about for name in ("parquet", *plan.formats)},
        pa.concat_tables(points) if points else None,
    )


_COLUMNS = ["batch", "image_id", "width", "height", "site", "year", "quadrat", "file", "clean_uri"]


def _table(store: ObjectStore, name: str, part: str, folder: Path) -> pa.Table:
    store.get_file(release_key(name, f"{part}.parquet"), folder / part)
    return pq.read_table(folder / part, memory_map=False)


def _points(tables: BatchTables, plan: ReleasePlan, batch: str) -> list[pa.Table]:
    """A row per picture and design, so that a release of any size stays small; none of batches measured without."""
    try:
        table = tables.table(POINTS, batch)
    except NotMadeYetError:
        return []
    taxa = pa.array(plan.filter.taxa or plan.taxonomy.names, pa.string())
    return [coral_hits(table.filter(pc.is_in(table["taxon"], taxa)))]


def _line(tables: BatchTables, batch: str) -> BatchLine:
    figures = json.loads(tables.store.get(report_key(batch)))
    page = page_key(batch)
    # Both pages lie under reports/: the link holds wherever the store does, and when the folder is copied.
    up = "../" * (page_of_release("").count("/") - 1)
    return BatchLine(batch, figures, up + page.removeprefix("reports/") if tables.store.exists(page) else None)


@dataclass(frozen=True, slots=True)
class _Changed:
    """A picture that people changed: the share of its ground that was drawn, taken away or redrawn, and how."""

    share: float
    batch: str
    image_id: str
    lines: Sequence[str]


def _rank(picture: _Changed) -> tuple[float, str]:
    return picture.share, picture.image_id


def _changed(tables: BatchTables, batch: str, pictures: Mapping[str, Mapping[str, Any]]) -> Iterator[_Changed]:
    rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    table = tables.table(CHANGES, batch)
    for row in table.filter(pc.not_equal(table["what"], What.UNCHANGED.value)).to_pylist():
        if row["image_id"] in pictures:
            rows[row["image_id"]].append(row)
    for image_id, mine in rows.items():
        area = pictures[image_id]["width"] * pictures[image_id]["height"]
        yield _Changed(sum(row["changed_px"] for row in mine) / area, batch, image_id, _said(mine, area))


def _said(rows: Sequence[Mapping[str, Any]], area: float) -> list[str]:
    """What people did, a line per taxon and kind of change, the largest first."""
    pixels: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for row in rows:
        renamed = row["what"] == What.RELABELLED
        said = f"{row['label_before']}: is a {row['label']}" if renamed else f"{row['label']}: {_DONE[row['what']]}"
        times[said] += 1
        pixels[said] += row["changed_px"]
    many = {said: f"{times[said]} {said}" if times[said] > 1 else said for said in pixels}
    return [f"{many[said]}, {_percent(changed / area)} of the picture" for said, changed in pixels.most_common()]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%" if share >= 0.0005 else "< 0.1\N{NO-BREAK SPACE}%"


def _overlays(
    tables: BatchTables, worst: Sequence[_Changed], by_batch: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> Iterator[Worst]:
    """The worst pictures with their outlines, reading every batch once."""
    drawn: dict[tuple[str, str], Worst] = {}
    for batch in {picture.batch for picture in worst}:
        sides = [shapes_by_image(tables.labels(stage, batch)) for stage in (CORALS.proposed, CORALS.reviewed)]
        for picture in worst:
            if picture.batch == batch:
                row = by_batch[batch][picture.image_id]
                before, after = (side.get(picture.image_id, []) for side in sides)
                shown = Picture(
                    _loader(tables, row["clean_uri"]), (row["width"], row["height"]), _title(row), before, after
                )
                drawn[batch, picture.image_id] = Worst(batch, shown, picture.share, picture.lines)
    for picture in worst:
        yield drawn[picture.batch, picture.image_id]


def _loader(tables: BatchTables, uri: str) -> Callable[[], NDArray[np.uint8]]:
    return lambda: thumbnail(tables.store.get(uri), OVERLAY_PX)


def _title(row: Mapping[str, Any]) -> str:
    return " ".join(str(row[key]) for key in ("site", "year", "quadrat") if row[key]) or row["file"]


def _sizes(
    tables: BatchTables, plan: ReleasePlan, batch: str, pictures: Mapping[str, Any]
) -> Iterator[tuple[str, NDArray[np.float64], int]]:
    """By taxon: cm2 of colonies that no frame cuts, and how many are cut."""
    table = tables.table(COLONIES, batch)
    table = table.filter(pc.is_in(table["image_id"], pa.array(list(pictures), pa.string())))
    for taxon in plan.filter.taxa or plan.taxonomy.names:
        mine = table.filter(pc.equal(table["taxon"], taxon))
        if mine.num_rows:
            whole = mine.filter(pc.invert(mine["cut_off"]))
            yield taxon, whole["cm2"].to_numpy(), mine.num_rows - whole.num_rows


def _years(tables: BatchTables, images: pa.Table) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Tracks on the release's pictures, and pictures of the quadrats where most happened."""
    ids = set(images["image_id"].to_pylist())
    sites = sorted({site for site in images["site"].to_pylist() if site})
    mine = [row for site in sites for row in tracks_of(tables, site) if row["image_id"] in ids]
    followed = {(row["site"], row["quadrat"]) for row in mine if row["years"] is not None}
    tracks = [row for row in mine if (row["site"], row["quadrat"]) in followed]
    gone = Counter((row["site"], row["quadrat"]) for row in tracks if row["shape_id"] is None)
    keys = [picture_key(*place) for place in sorted(followed, key=lambda place: (-gone[place], place))]
    there = (key for key in keys if tables.store.exists(key))
    return tracks, [tables.store.get(key) for key, _ in zip(there, range(YEARS_SHOWN), strict=False)]
