"""``colonies/tracks``: the colonies of fixed quadrats through their years. Unpartitioned: batches share quadrats.

A quadrat is its site and its name, whatever survey (campaign) photographed it, as in splits and trends. Tables are
kept per site; the table of pictures is the commit point, and says by its keys which quadrats need not be followed
again.
"""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import dagster as dg
import numpy as np
import pyarrow as pa

from analytics.colonies import PICTURE_SCHEMA, TRACK_SCHEMA, History, Outcome, Photo, View, follow
from analytics.colonies.summary import events_by_year
from analytics.contact_sheet import markdown_image
from assets.clean import STAGE as CLEAN
from assets.common.metadata import FAILURES_SHOWN
from assets.common.names import META_COUNTS, META_FAILURES, META_PREVIEW, TEAM_SCIENCE
from assets.common.pictures import load_rgb
from assets.common.stage import shapes_by_image
from assets.corals import GATE as CORALS
from assets.raw import STAGE as RAW
from labels.manifest import ManifestRow
from labels.schema import Shape
from labels.survey import SurveyConfig, SurveyError, parse_batch_key
from labels.taxonomy import load_taxonomy
from labels.transforms import Rectification
from resources.object_store import MissingObjectError
from resources.settings import Settings
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables, NotMadeYetError

STAGE = "colonies/tracks"
PICTURES = "colonies/pictures"
CODE_VERSION = "1"
SHOWN = 4
"""Quadrats in the preview."""


@dg.asset(
    key=STAGE.split("/"),
    deps=[
        dg.AssetDep(dg.AssetKey(key.split("/")), partition_mapping=dg.AllPartitionMapping())
        for key in (RAW, CLEAN, CORALS.reviewed)
    ],
    group_name="colonies",
    owners=[TEAM_SCIENCE],
    kinds={"parquet", "opencv"},
    code_version=CODE_VERSION,
)
def colonies_tracks(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Growth, death, recruitment, fission and fusion of every colony of the quadrats photographed more than once."""
    try:
        done = follow_all(tables, surveys, settings.worker_threads, context.log.info)
    except SurveyError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    metadata: dict[str, Any] = {
        "dagster/row_count": len(done.tracks),
        "quadrats": len({(row["site"], row["quadrat"]) for row in done.pictures}),
        "colonies": len({row["colony_id"] for row in done.tracks}),
        "followed_now": len(done.redone),
        "nameless_pictures": done.nameless,
        "tables": dg.MetadataValue.json(done.uris),
        META_COUNTS: dg.MetadataValue.md(events_table(done.tracks)),
    }
    remarks = remarks_table(done.pictures)
    if remarks:
        metadata[META_FAILURES] = dg.MetadataValue.md(remarks)
    preview = _preview(tables, done)
    if preview:
        metadata[META_PREVIEW] = dg.MetadataValue.md(preview)
    return dg.MaterializeResult(metadata=metadata)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A reviewed picture whose quadrat and year are known."""

    batch: str
    survey: str
    taxonomy: str
    row: ManifestRow
    picture: ManifestRow
    year: int

    @property
    def cm_per_px(self) -> float:
        """Scale of the clean picture."""
        return Rectification.from_json(self.picture.extra).cm_per_px

    def content(self) -> list[object]:
        """All that a quadrat's history takes from it."""
        mask, by = self.picture.extra.get("mask_sha256"), self.row.extra.get("by")
        labels = [self.row.code_version, self.row.params]
        return [self.row.image_id, self.survey, self.year, self.picture.sha256, mask, self.cm_per_px, by, *labels]


@dataclass(frozen=True, slots=True)
class Followed:
    """All tracks and outcomes, and which quadrats were followed in this run."""

    tracks: list[dict[str, Any]]
    pictures: list[dict[str, Any]]
    redone: list[tuple[str, str]]
    nameless: int
    uris: list[str]


def follow_all(
    tables: BatchTables, surveys: SurveyCatalog, threads: int = 1, tell: Callable[[str], object] = lambda line: None
) -> Followed:
    """Follow every quadrat whose pictures or labels have changed, and commit site by site."""
    quadrats, nameless = reviewed_quadrats(tables, surveys)
    done = Followed([], [], [], nameless, [])
    sites = sorted({site for site, _ in quadrats})
    _forget_other_sites(tables, sites)
    for site in sites:
        mine = {quadrat: pictures for (place, quadrat), pictures in sorted(quadrats.items()) if place == site}
        before, tracks = _known(tables, site)
        keys = {quadrat: _key(pictures) for quadrat, pictures in mine.items()}
        kept = {row["quadrat"] for row in before if keys.get(row["quadrat"]) == row["key"]}
        todo = [quadrat for quadrat in mine if quadrat not in kept]
        histories = _follow_site(tables, site, {quadrat: mine[quadrat] for quadrat in todo}, keys, threads)
        pictures = [row for row in before if row["quadrat"] in kept]
        tracks = [row for row in tracks if row["quadrat"] in kept]
        for history in histories:
            pictures += history.pictures
            tracks += history.tracks
        if todo or {row["quadrat"] for row in before} != kept:
            done.uris.append(tables.write_table(STAGE, _slug(site), _table(tracks, TRACK_SCHEMA)))
            tables.write_table(PICTURES, _slug(site), _table(pictures, PICTURE_SCHEMA))
            tell(f"{site}: {len(todo)} quadrats followed, {len(kept)} unchanged")
        done.tracks.extend(tracks)
        done.pictures.extend(pictures)
        done.redone.extend((site, quadrat) for quadrat in todo)
    return done


def _forget_other_sites(tables: BatchTables, sites: Sequence[str]) -> None:
    """Take the tables of sites away that no picture names any longer: a site was renamed."""
    known = {_slug(site) for site in sites}
    for stage in (PICTURES, STAGE):
        for key in list(tables.store.keys(f"tables/{stage}/")):
            if Path(key).stem not in known:
                tables.store.delete(key)


def _follow_site(
    tables: BatchTables, site: str, todo: Mapping[str, Sequence[Reviewed]], keys: Mapping[str, str], threads: int
) -> list[History]:
    """Follow quadrats of a site side by side; their pictures are written on the way."""
    from analytics.colonies.picture import quadrat_picture  # matplotlib is slow to load

    labels = {
        batch: shapes_by_image(tables.labels(CORALS.reviewed, batch))
        for batch in sorted({picture.batch for pictures in todo.values() for picture in pictures})
    }

    def one(quadrat: str) -> History:
        photos = [_photo(tables, labels[p.batch].get(p.row.image_id, []), p) for p in todo[quadrat]]
        history = follow(site, quadrat, photos, _parents(todo[quadrat]), key=keys[quadrat])
        tables.store.put(picture_key(site, quadrat), quadrat_picture(history))
        return history

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, todo))


def reviewed_quadrats(tables: BatchTables, surveys: SurveyCatalog) -> tuple[dict[tuple[str, str], list[Reviewed]], int]:
    """Reviewed pictures by site and quadrat, and how many have no site, year or quadrat.

    Raises:
        SurveyError: the survey file of a batch is missing or wrong.
    """
    quadrats: dict[tuple[str, str], list[Reviewed]] = defaultdict(list)
    known: dict[str, SurveyConfig] = {}
    nameless = 0
    for batch in tables.batches(CORALS.reviewed):
        name = parse_batch_key(batch)[0]
        survey = known[name] = known.get(name) or surveys.get(name)
        raw = {row.image_id: row.extra for row in tables.manifest(RAW, batch)}
        clean = {row.image_id: row for row in tables.manifest(CLEAN, batch)}
        for row in tables.manifest(CORALS.reviewed, batch):
            site, year, quadrat = (raw[row.image_id].get(name) for name in ("site", "year", "quadrat"))
            if not row.usable:
                continue
            if not (site and year and quadrat):
                nameless += 1
                continue
            picture = clean[row.image_id]
            quadrats[site, quadrat].append(Reviewed(batch, survey.name, survey.taxonomy, row, picture, int(year)))
    return dict(quadrats), nameless


def picture_key(site: str, quadrat: str) -> str:
    """Where the picture of a quadrat's years lies in the store."""
    return f"reports/{STAGE}/{_slug(site)}/{_slug(quadrat)}.jpg"


def tracks_of(tables: BatchTables, site: str) -> list[dict[str, Any]]:
    """The tracks of a site as they were last followed; empty where they never were."""
    return _known(tables, site)[1]


def events_table(tracks: Sequence[Mapping[str, Any]]) -> str:
    """Events by site and year, as markdown."""
    events, happened = events_by_year(tracks)
    lines = [f"| site | year | {' | '.join(e.replace('_', ' ') for e in events)} |", "|---" * (2 + len(events)) + "|"]
    lines += [f"| {site} | {year} | {' | '.join(str(n or '') for n in counts)} |" for site, year, counts in happened]
    return "\n".join(lines) if events else "no quadrat has been reviewed yet"


def remarks_table(pictures: Sequence[Mapping[str, Any]]) -> str:
    """Pictures that could not be followed, or not well, with the reasons; empty where there are none."""
    said = [row for row in pictures if row["reason"]]
    lines = ["| site | quadrat | year | outcome | reason |", "|---|---|---|---|---|"]
    for row in sorted(said, key=lambda r: (r["outcome"] == Outcome.FIRST, r["site"], r["quadrat"]))[:FAILURES_SHOWN]:
        reason = row["reason"].replace("|", "\\|")
        lines.append(f"| {row['site']} | {row['quadrat']} | {row['year']} | {row['outcome']} | {reason} |")
    if len(said) > FAILURES_SHOWN:
        lines.append(f"| … | | | | {len(said) - FAILURES_SHOWN} more in {PICTURES} |")
    return "\n".join(lines) if said else ""


def _photo(tables: BatchTables, shapes: Sequence[Shape], given: Reviewed) -> Photo:
    size = (given.picture.width or 1, given.picture.height or 1)

    def load() -> View:
        try:
            picture, mask = load_rgb(tables, given.picture), given.picture.extra.get("mask_uri")
            invented = np.frombuffer(tables.store.get(mask), np.uint8) if mask else None
        except MissingObjectError as error:
            raise ValueError(f"{error}: restore it, or run {CLEAN} of {given.batch} again") from error
        grey = None if invented is None else cv2.imdecode(invented, cv2.IMREAD_GRAYSCALE)
        return View(picture, *size, given.cm_per_px, grey)

    by_person = given.row.extra.get("by") == "person"
    return Photo(given.survey, given.row.image_id, given.year, size, given.cm_per_px, shapes, load, by_person)


def _known(tables: BatchTables, site: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Outcomes and tracks of an earlier run; nothing where there are none, or of another version of the tables."""
    try:
        pictures, tracks = (tables.table(stage, _slug(site)) for stage in (PICTURES, STAGE))
    except NotMadeYetError:
        return [], []
    if not (pictures.schema.equals(PICTURE_SCHEMA) and tracks.schema.equals(TRACK_SCHEMA)):
        return [], []
    return pictures.to_pylist(), tracks.to_pylist()


def _parents(pictures: Sequence[Reviewed]) -> dict[str, str | None]:
    names = sorted({picture.taxonomy for picture in pictures})
    return {taxon.name: taxon.parent for name in names for taxon in load_taxonomy(name).taxa}


def _key(pictures: Sequence[Reviewed]) -> str:
    content = [CODE_VERSION, sorted(_parents(pictures).items()), sorted((p.content() for p in pictures), key=str)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    ordered = sorted(rows, key=lambda r: (r["quadrat"], r["year"], r.get("colony_id", ""), r["image_id"]))
    return pa.Table.from_pylist(list(ordered), schema=schema)


def _slug(name: str) -> str:
    """A name as part of a key: readable, and unlike any other name's."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40]
    return f"{plain or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _preview(tables: BatchTables, done: Followed) -> str:
    """Pictures of some quadrats: those followed now, else the first, richest in events."""
    from analytics.colonies.picture import overview

    eventful = Counter((row["site"], row["quadrat"]) for row in done.tracks if row["shape_id"] is None)
    known = done.redone or sorted({(row["site"], row["quadrat"]) for row in done.pictures})
    chosen = sorted(known, key=lambda place: -eventful[place])[:SHOWN]
    pictures = [tables.store.get(picture_key(*place)) for place in chosen if tables.store.exists(picture_key(*place))]
    return markdown_image(overview(pictures), "image/jpeg", "quadrats through their years") if pictures else ""
