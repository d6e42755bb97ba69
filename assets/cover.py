"""``cover/quadrats``: cover per picture and taxon, from reviewed outlines."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import dagster as dg
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analytics.contact_sheet import markdown_image
from analytics.cover import COLONY_SCHEMA, COVER_SCHEMA, Quadrat, colonies, quadrat_cover
from analytics.cover.points import DESIGNS, POINT_SCHEMA, counts_of_points, layout, point_counts
from analytics.cover.uncertainty import label_sd
from analytics.plots import cover_plot
from analytics.quality.detection import cover_differences
from assets.clean import STAGE as CLEAN
from assets.common.names import META_MANIFEST, META_PREVIEW, TEAM_SCIENCE
from assets.common.partitions import BATCHES
from assets.common.seen import moved_by_people, seen_by_people
from assets.common.stage import Done, Work, run_stage, shapes_by_image
from assets.corals import GATE as CORALS
from assets.corners import GATE as CORNERS
from assets.raw import STAGE as RAW
from labels.lattice import load_topology
from labels.manifest import ManifestRow
from labels.survey import SurveyConfig, Workflow
from labels.taxonomy import load_taxonomy
from labels.transforms import Rectification
from resources.imports import POINTS as POINT_LABELS
from resources.imports import imported
from resources.settings import Settings
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

STAGE = "cover/quadrats"
COLONIES = "cover/colonies"
POINTS = "cover/points"
CODE_VERSION = "3"

CORNER_SD_PX = 1.0
"""How far people's corners are off, per axis, in pixels of the straightened picture."""


@dg.asset(
    key=STAGE.split("/"),
    deps=[
        dg.AssetKey(key.split("/"))
        for key in (RAW, CLEAN, CORNERS.proposed, CORNERS.reviewed, CORALS.proposed, CORALS.reviewed)
    ],
    partitions_def=BATCHES,
    group_name="cover",
    owners=[TEAM_SCIENCE],
    kinds={"parquet"},
    code_version=CODE_VERSION,
)
def cover_quadrats(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Share, cm2 and colonies per picture and taxon, what they are unsure of, and what point counts would have said."""
    batch = context.partition_key
    survey = surveys.of_batch(batch)
    cover = measure(tables, survey, batch, settings.worker_threads)
    uri = tables.write_table(STAGE, batch, cover)
    sizes, points = details(tables, survey, batch)
    works = [Work(row) for row in tables.manifest(CORALS.reviewed, batch) if row.usable]
    result = run_stage(tables, STAGE, batch, works, lambda work: Done(), code_version=CODE_VERSION)
    plot = markdown_image(cover_plot(cover, load_taxonomy(survey.taxonomy)), "image/png", "cover per taxon and year")
    total = np.asarray(cover["share"]).sum() / max(1, len(works))
    return dg.MaterializeResult(
        metadata={
            "pictures": len(works),
            "seconds": dg.MetadataValue.float(round(result.seconds, 3)),
            "mean_coral_cover": dg.MetadataValue.float(round(float(total), 4)),
            "colonies": dg.MetadataValue.path(tables.write_table(COLONIES, batch, sizes)),
            "points": dg.MetadataValue.path(tables.write_table(POINTS, batch, points)),
            "table": dg.MetadataValue.path(uri),
            META_MANIFEST: dg.MetadataValue.path(result.manifest_uri),
            META_PREVIEW: dg.MetadataValue.md(plot),
        }
    )


def measure(tables: BatchTables, survey: SurveyConfig, batch: str, threads: int = 1) -> pa.Table:
    """Cover of every reviewed picture of a batch, a table of ``COVER_SCHEMA``."""
    shapes = shapes_by_image(tables.labels(CORALS.reviewed, batch))
    taxa = load_taxonomy(survey.taxonomy).names
    doubt = _label_doubt(tables, batch, taxa)

    def one(row: ManifestRow, quadrat: Quadrat) -> list[dict[str, object]]:
        return quadrat_cover(quadrat, shapes.get(row.image_id, []), taxa, doubt[row.extra.get("by") == "person"])

    reviewed = [row for row in tables.manifest(CORALS.reviewed, batch) if row.usable]
    with ThreadPoolExecutor(threads) as pool:
        rows = [line for lines in pool.map(one, reviewed, quadrats(tables, survey, batch)) for line in lines]
    return pa.Table.from_pylist(rows, schema=COVER_SCHEMA)


def details(tables: BatchTables, survey: SurveyConfig, batch: str) -> tuple[pa.Table, pa.Table]:
    """Every colony with its size, and what point counts of each picture would have said, or imported ones did say."""
    shapes = shapes_by_image(tables.labels(CORALS.reviewed, batch))
    taxa, topology = load_taxonomy(survey.taxonomy).names, load_topology(survey.lattice.topology)
    known = imported(tables.store, survey.name, POINT_LABELS, {row.image_id for row in tables.manifest(CLEAN, batch)})
    sizes: list[dict[str, object]] = []
    points: list[dict[str, object]] = []
    for quadrat in quadrats(tables, survey, batch):
        mine = shapes.get(quadrat.image_id, [])
        sizes += colonies(quadrat, mine)
        for design in DESIGNS:
            places = layout(design, quadrat.image_id, quadrat.width, quadrat.height, topology)
            points += point_counts(quadrat.image_id, design, mine, places, taxa)
        experts = known.get(quadrat.image_id, ("", []))[1]
        points += counts_of_points(quadrat.image_id, experts, {s.label: s.attributes["group"] for s in experts})
    return pa.Table.from_pylist(sizes, schema=COLONY_SCHEMA), pa.Table.from_pylist(points, schema=POINT_SCHEMA)


def quadrats(tables: BatchTables, survey: SurveyConfig, batch: str) -> Iterator[Quadrat]:
    """What has to be known of every reviewed picture, in the order of the manifest."""
    raw = {row.image_id: row for row in tables.manifest(RAW, batch)}
    clean = {row.image_id: row for row in tables.manifest(CLEAN, batch)}
    corners = {row.image_id: row for row in tables.manifest(CORNERS.reviewed, batch)}
    moved = moved_by_people(tables, CORNERS, batch)["rms_px"] or 0.0
    for row in tables.manifest(CORALS.reviewed, batch):
        if not row.usable:
            continue
        picture, photo, corner = clean[row.image_id], raw[row.image_id].extra, corners.get(row.image_id)
        by_model = corner is not None and corner.extra.get("by") == "model"
        # Without a person, corners are as far off as people found those of other pictures to be.
        doubt = max(CORNER_SD_PX, moved) if by_model else CORNER_SD_PX
        yield Quadrat(
            row.image_id,
            batch,
            survey.name,
            picture.width or 1,
            picture.height or 1,
            Rectification.from_json(picture.extra).cm_per_px,
            photo.get("site"),
            photo.get("year"),
            photo.get("quadrat"),
            _mask(tables, picture),
            doubt if survey.workflow != Workflow.ONE_STAGE else 0.0,
        )


def _label_doubt(tables: BatchTables, batch: str, taxa: Sequence[str]) -> dict[bool, dict[str, float] | None]:
    """Standard deviations by taxon for pictures a person answered for (True) and others (False).

    Both come from what people made of proposals: model and person count as two independent views where a person
    looked, and the person as the truth where none did. Where nobody looked at any picture they are not known.
    """
    rows = {row.image_id: row for row in tables.manifest(CORALS.reviewed, batch)}
    sizes = {
        image_id: (rows[image_id].width or 0, rows[image_id].height or 0) for image_id in seen_by_people(rows.values())
    }
    if not sizes:
        return {True: None, False: None}
    proposed = (s for s in tables.labels(CORALS.proposed, batch) if s.image_id in sizes)
    reviewed = (s for s in tables.labels(CORALS.reviewed, batch) if s.image_id in sizes)
    differences = cover_differences(proposed, reviewed, taxa, sizes)
    return {person: label_sd(differences, independent=person) for person in (True, False)}


def _mask(tables: BatchTables, picture: ManifestRow) -> NDArray[np.uint8] | None:
    key = picture.extra.get("mask_uri")
    if not key:
        return None
    return cv2.imdecode(np.frombuffer(tables.store.get(key), np.uint8), cv2.IMREAD_GRAYSCALE)
