"""``images/clean``: the rectified picture with the lattice removed; the mask of invented pixels is kept beside it."""

from typing import Any

import dagster as dg
import numpy as np

from assets.common.metadata import stage_result
from assets.common.names import TEAM_VISION
from assets.common.partitions import BATCHES
from assets.common.pictures import load_rgb, save_jpeg, save_png
from assets.common.stage import Done, StageResult, Work, run_stage, shapes_by_image
from assets.lattice import GATE as LATTICE
from assets.rectified import STAGE as RECTIFIED
from inference.removal import MODELS, measured_mask, remove_lattice
from labels.lattice import load_topology
from labels.manifest import Status
from labels.survey import SurveyConfig
from resources.settings import Settings
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

STAGE = "images/clean"
CODE_VERSION = "1"


@dg.asset(
    key=STAGE.split("/"),
    deps=[dg.AssetKey(RECTIFIED.split("/")), dg.AssetKey(LATTICE.reviewed.split("/"))],
    partitions_def=BATCHES,
    group_name="images",
    owners=[TEAM_VISION],
    kinds={"opencv", "image"},
    code_version=CODE_VERSION,
)
def images_clean(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Pictures without strings, for outlining corals. Only mask pixels change, and the mask is kept as a PNG."""
    batch = context.partition_key
    result = clean(tables, surveys.of_batch(batch), batch, settings.worker_threads)
    shares = [row.extra["inpainted_share"] for row in result.rows if "inpainted_share" in row.extra]
    return stage_result(result, tables, {"mean_inpainted_share": float(np.mean(shares or [0]))})


def clean(tables: BatchTables, survey: SurveyConfig, batch: str, threads: int = 1) -> StageResult:
    """Remove the reviewed lattice from every rectified picture."""
    rectified = {row.image_id: row for row in tables.manifest(RECTIFIED, batch) if row.usable}
    reviewed = [row for row in tables.manifest(LATTICE.reviewed, batch) if row.usable]
    shapes = shapes_by_image(tables.labels(LATTICE.reviewed, batch))
    topology = load_topology(survey.lattice.topology)

    def do(work: Work) -> Done:
        if not work.params:
            return Done(status=Status.SKIPPED, reason=skipped[work.image_id], extra=dict(work.source.extra))
        image = load_rgb(tables, work.source)
        nodes = np.array(work.params["nodes"]).reshape(-1, 2)
        mask = measured_mask(image, nodes, topology, work.params["outside"], survey.lattice.string_width_px)
        sha256, uri = save_jpeg(
            tables, "clean", remove_lattice(image, mask, survey.removal.method, survey.removal.radius)
        )
        mask_sha256, mask_uri = save_png(tables, "masks", mask)
        extra = {
            **work.source.extra,
            "mask_uri": mask_uri,
            "mask_sha256": mask_sha256,
            "inpainted_share": float((mask > 0).mean()),
        }
        return Done(sha256, uri, image.shape[1], image.shape[0], extra=extra)

    skipped = {row.image_id: row.reason for row in reviewed if row.status == Status.SKIPPED}
    settings = {
        "method": survey.removal.method,
        "radius": survey.removal.radius,
        "width": survey.lattice.string_width_px,
    }
    works = []
    for row in reviewed:
        lattice = shapes.get(row.image_id)
        params: dict[str, Any] = {}
        if lattice:
            hidden = set(lattice[0].outside_nodes())
            outside = [node in hidden for node in topology.node_ids]
            params = {"nodes": [float(v) for v in lattice[0].points], "outside": outside, **settings}
        works.append(Work(rectified[row.image_id], params))
    return run_stage(
        tables, STAGE, batch, works, do, code_version=CODE_VERSION, model=MODELS[survey.removal.method], threads=threads
    )
