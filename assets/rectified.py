"""``images/rectified``: each photo warped to a square by its four reviewed corners, with the homography kept."""

import dagster as dg

from assets.common.metadata import stage_result
from assets.common.names import TEAM_VISION
from assets.common.partitions import BATCHES
from assets.common.pictures import load_rgb, save_jpeg
from assets.common.stage import Done, StageResult, Work, run_stage, shapes_by_image
from assets.corners import GATE as CORNERS
from assets.raw import STAGE as RAW
from assets.raw import accepted
from inference.rectify import rectify
from labels.manifest import Status
from labels.schema import Shape
from labels.survey import SurveyConfig
from labels.transforms import Rectification
from resources.settings import Settings
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

STAGE = "images/rectified"
CODE_VERSION = "1"


@dg.asset(
    key=STAGE.split("/"),
    deps=[dg.AssetKey(RAW.split("/")), dg.AssetKey(CORNERS.reviewed.split("/"))],
    partitions_def=BATCHES,
    group_name="images",
    owners=[TEAM_VISION],
    kinds={"opencv", "image"},
    code_version=CODE_VERSION,
)
def images_rectified(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Square pictures of the frame's opening, one pixel scale for all, and the homography back to the raw photo."""
    batch = context.partition_key
    survey = surveys.of_batch(batch)
    result = straighten(tables, survey, batch, settings.worker_threads)
    return stage_result(result, tables, {"side_px": survey.frame.rectified_px, "frame_cm": survey.frame.side_cm})


def straighten(tables: BatchTables, survey: SurveyConfig, batch: str, threads: int = 1) -> StageResult:
    """Warp every photo whose corners are reviewed."""
    reviewed = {row.image_id: row for row in tables.manifest(CORNERS.reviewed, batch) if row.usable}
    shapes = shapes_by_image(tables.labels(CORNERS.reviewed, batch))
    raw = [row for row in accepted(tables.manifest(RAW, batch)) if row.image_id in reviewed]
    size, side_cm = survey.frame.rectified_px, survey.frame.side_cm

    def do(work: Work) -> Done:
        if reviewed[work.image_id].status == Status.SKIPPED:
            width = work.source.width or 2
            same = Rectification((1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0), width, side_cm)
            return Done(status=Status.SKIPPED, reason=reviewed[work.image_id].reason, extra=same.to_json())
        corners = work.params["corners"]
        sha256, uri = save_jpeg(tables, "rectified", rectify(load_rgb(tables, work.source), corners, size))
        return Done(sha256, uri, size, size, extra=Rectification.from_corners(corners, size, side_cm).to_json())

    works = [Work(row, {"corners": _corners(shapes, row.image_id), "side_px": size, "side_cm": side_cm}) for row in raw]
    return run_stage(tables, STAGE, batch, works, do, code_version=CODE_VERSION, threads=threads)


def _corners(shapes: dict[str, list[Shape]], image_id: str) -> list[list[float]]:
    found = shapes.get(image_id, [])
    return [[float(x), float(y)] for x, y in found[0].xy()] if found else []
