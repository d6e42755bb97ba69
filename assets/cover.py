"""``cover/quadrats``: cover per picture and taxon, from reviewed outlines."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import dagster as dg
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analytics.contact_sheet import markdown_image
from analytics.cover import COVER_SCHEMA, Quadrat, quadrat_cover
from analytics.plots import cover_plot
from assets.clean import STAGE as CLEAN
from assets.common.names import META_MANIFEST, META_PREVIEW, TEAM_SCIENCE
from assets.common.partitions import BATCHES
from assets.common.stage import Done, Work, run_stage, shapes_by_image
from assets.corals import GATE as CORALS
from assets.raw import STAGE as RAW
from labels.manifest import ManifestRow
from labels.survey import SurveyConfig
from labels.taxonomy import load_taxonomy
from labels.transforms import Rectification
from resources.settings import Settings
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

STAGE = "cover/quadrats"
CODE_VERSION = "1"


@dg.asset(
    key=STAGE.split("/"),
    deps=[dg.AssetKey(key.split("/")) for key in (RAW, CLEAN, CORALS.reviewed)],
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
    """Share, cm2 and colony count per picture and taxon; invented pixels left out and reported."""
    batch = context.partition_key
    survey = surveys.of_batch(batch)
    cover = measure(tables, survey, batch, settings.worker_threads)
    uri = tables.write_table(STAGE, batch, cover)
    works = [Work(row) for row in tables.manifest(CORALS.reviewed, batch) if row.usable]
    result = run_stage(tables, STAGE, batch, works, lambda work: Done(), code_version=CODE_VERSION)
    plot = markdown_image(cover_plot(cover, load_taxonomy(survey.taxonomy)), "image/png", "cover per taxon and year")
    total = np.asarray(cover["share"]).sum() / max(1, len(works))
    return dg.MaterializeResult(
        metadata={
            "pictures": len(works),
            "seconds": dg.MetadataValue.float(round(result.seconds, 3)),
            "mean_coral_cover": dg.MetadataValue.float(round(float(total), 4)),
            "table": dg.MetadataValue.path(uri),
            META_MANIFEST: dg.MetadataValue.path(result.manifest_uri),
            META_PREVIEW: dg.MetadataValue.md(plot),
        }
    )


def measure(tables: BatchTables, survey: SurveyConfig, batch: str, threads: int = 1) -> pa.Table:
    """Cover of every reviewed picture of a batch, a table of ``COVER_SCHEMA``."""
    raw = {row.image_id: row for row in tables.manifest(RAW, batch)}
    clean = {row.image_id: row for row in tables.manifest(CLEAN, batch)}
    shapes = shapes_by_image(tables.labels(CORALS.reviewed, batch))
    taxa = load_taxonomy(survey.taxonomy).names

    def one(row: ManifestRow) -> list[dict[str, object]]:
        picture, photo = clean[row.image_id], raw[row.image_id].extra
        quadrat = Quadrat(
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
        )
        return quadrat_cover(quadrat, shapes.get(row.image_id, []), taxa)

    reviewed = [row for row in tables.manifest(CORALS.reviewed, batch) if row.usable]
    with ThreadPoolExecutor(threads) as pool:
        rows = [line for lines in pool.map(one, reviewed) for line in lines]
    return pa.Table.from_pylist(rows, schema=COVER_SCHEMA)


def _mask(tables: BatchTables, picture: ManifestRow) -> NDArray[np.uint8] | None:
    key = picture.extra.get("mask_uri")
    if not key:
        return None
    return cv2.imdecode(np.frombuffer(tables.store.get(key), np.uint8), cv2.IMREAD_GRAYSCALE)
