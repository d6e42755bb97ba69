"""Gate 1, corners: where the frame's four inner corners are in each raw photo.

``corners/proposed`` finds them; ``corners/review`` and ``corners/reviewed`` are the gate.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import numpy as np

from assets.common.gate import GateSpec
from assets.common.gate_assets import gate_assets, gate_checks
from assets.common.metadata import stage_result
from assets.common.names import CORNERS_LABEL, TEAM_VISION, Gate
from assets.common.partitions import BATCHES
from assets.common.pictures import load_rgb
from assets.common.stage import Done, StageResult, Work, run_stage
from assets.raw import STAGE as RAW
from assets.raw import accepted
from inference.corners import CornerFinder, open_corner_finder
from inference.registry import ModelError, ModelRegistry
from inference.selfchecks import check_corners
from labels.formats.cvat import corner_guide, corner_label_spec
from labels.manifest import ManifestRow, Status
from labels.schema import Kind, Shape
from labels.survey import SurveyConfig
from resources.settings import Settings
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

STAGE = "corners/proposed"
CODE_VERSION = "2"
FOUND_SHARE = 0.5
"""Below this share of found frames the survey file or the photos are wrong as a whole, not single pictures."""


@dg.asset(
    key=STAGE.split("/"),
    deps=[dg.AssetKey(RAW.split("/"))],
    partitions_def=BATCHES,
    group_name="corners",
    owners=[TEAM_VISION],
    kinds={"onnx", "opencv", "parquet"},
    code_version=CODE_VERSION,
)
def corners_proposed(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
    models: dg.ResourceParam[ModelRegistry],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """The four inner corners of the frame, found by network and geometry, with a calibrated score and self-checks."""
    batch = context.partition_key
    result = propose(tables, surveys.of_batch(batch), batch, models, settings.worker_threads)
    scores = [row.extra["score"] for row in result.rows if "score" in row.extra]
    found = sum(bool(row.extra.get("found")) for row in result.rows)
    return stage_result(result, tables, {"found": found, "mean_score": float(np.mean(scores or [0]))})


def propose(
    tables: BatchTables, survey: SurveyConfig, batch: str, models: ModelRegistry, threads: int = 1
) -> StageResult:
    """Find corners in every accepted photo; pass through when the survey's pictures are already straight.

    Raises:
        dg.Failure: the survey names a model that cannot be used for this.
    """
    works = [Work(row) for row in accepted(tables.manifest(RAW, batch))]
    if survey.workflow == "one_stage":
        return run_stage(tables, STAGE, batch, works, _pass_through, code_version=CODE_VERSION, labels=True)
    try:
        # The pictures run side by side, so each call of the network keeps to one processor.
        finder = open_corner_finder(models, survey.models.corners, threads=1)
    except ModelError as error:
        raise dg.Failure(f"models.corners of survey {survey.name}: {error}", allow_retries=False) from error
    return run_stage(
        tables,
        STAGE,
        batch,
        works,
        lambda work: _find(tables, work, finder),
        code_version=CODE_VERSION,
        model=finder.reference,
        labels=True,
        threads=threads,
    )


def _pass_through(work: Work) -> Done:
    return Done(status=Status.SKIPPED, reason="workflow one_stage: pictures are already straight")


def _find(tables: BatchTables, work: Work, finder: CornerFinder) -> Done:
    image = load_rgb(tables, work.source)
    finding = finder.find(image)
    if finding.points is None:
        return Done(extra={"found": False, "score": 0.0, "defects": finding.defects or ["no frame found"]})
    shape = Shape(
        work.image_id,
        f"{work.image_id}:corners",
        Kind.SKELETON,
        CORNERS_LABEL,
        [float(v) for v in finding.points.ravel()],
        score=finding.score,
        model=finding.model,
    )
    extra = {"found": True, "score": finding.score, "defects": finding.defects, "method": finding.method}
    return Done(extra=extra, shapes=[shape])


def _label_specs(survey: SurveyConfig) -> list[dict[str, Any]]:
    return [corner_label_spec(CORNERS_LABEL)]


def _check(survey: SurveyConfig, row: ManifestRow, shapes: Sequence[Shape]) -> list[str]:
    """Exactly one frame with four visible corners, convex and in order."""
    if len(shapes) != 1:
        return [f"{len(shapes)} corner skeletons where one is expected: keep one in CVAT and complete the job again"]
    if shapes[0].outside_nodes():
        return [f"corner {', '.join(shapes[0].outside_nodes())} is marked outside: place all four corners"]
    return check_corners(np.array(shapes[0].xy()), row.width or 0, row.height or 0)


GATE = GateSpec(
    Gate.CORNERS,
    RAW,
    lambda survey: "reefline corners",
    _label_specs,
    lambda survey: corner_guide(CORNERS_LABEL),
    _check,
)
corners_gate = gate_assets(GATE)
corners_checks = gate_checks(GATE, lambda survey: {CORNERS_LABEL})


@dg.asset_check(asset=STAGE.split("/"), partitions_def=BATCHES)
def frame_found(context: dg.AssetCheckExecutionContext, tables: dg.ResourceParam[BatchTables]) -> dg.AssetCheckResult:
    """The frame was found in most photos; fewer means wrong photos or a frame the finder does not know."""
    rows = [row for row in tables.manifest(STAGE, context.partition_key) if row.status == Status.OK]
    found = sum(bool(row.extra.get("found")) for row in rows)
    share = found / len(rows) if rows else 1.0
    severity = dg.AssetCheckSeverity.WARN  # a person can still place corners by hand
    return dg.AssetCheckResult(
        passed=share >= FOUND_SHARE, severity=severity, metadata={"found": found, "of": len(rows), "share": share}
    )
