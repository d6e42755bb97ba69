"""Gate 2, lattice: where the strings cross in each rectified picture.

``lattice/proposed`` finds them; ``lattice/review`` and ``lattice/reviewed`` are the gate.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import numpy as np

from assets.common.gate import GateSpec
from assets.common.gate_assets import gate_assets, gate_checks
from assets.common.metadata import stage_result
from assets.common.names import LATTICE_LABEL, TEAM_VISION, Gate
from assets.common.partitions import BATCHES
from assets.common.pictures import load_rgb
from assets.common.stage import Done, StageResult, Work, run_stage
from assets.rectified import STAGE as RECTIFIED
from inference.lattice import LatticeFinder, open_lattice_finder
from inference.registry import ModelError, ModelRegistry
from inference.selfchecks import check_lattice
from labels.formats.cvat import lattice_guide, lattice_label_spec
from labels.lattice import load_topology
from labels.manifest import ManifestRow, Status
from labels.schema import OUTSIDE, Kind, Shape
from labels.survey import SurveyConfig
from resources.settings import Settings
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

STAGE = "lattice/proposed"
CODE_VERSION = "2"
FOUND_SHARE = 0.5


@dg.asset(
    key=STAGE.split("/"),
    deps=[dg.AssetKey(RECTIFIED.split("/"))],
    partitions_def=BATCHES,
    group_name="lattice",
    owners=[TEAM_VISION],
    kinds={"onnx", "opencv", "parquet"},
    code_version=CODE_VERSION,
)
def lattice_proposed(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
    models: dg.ResourceParam[ModelRegistry],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """The crossings of the strings, seen by a network and numbered by geometry; missing ones marked outside."""
    batch = context.partition_key
    result = propose(tables, surveys.of_batch(batch), batch, models, settings.worker_threads)
    scores = [row.extra["score"] for row in result.rows if "score" in row.extra]
    counts = {"nodes_filled": sum(int(row.extra.get("filled", 0)) for row in result.rows)}
    return stage_result(result, tables, {**counts, "mean_score": float(np.mean(scores or [0]))})


def propose(
    tables: BatchTables, survey: SurveyConfig, batch: str, models: ModelRegistry, threads: int = 1
) -> StageResult:
    """Find the lattice in every rectified picture; pass through when the survey's frames have none.

    Raises:
        dg.Failure: the survey names a model that cannot be used for this.
    """
    params = {"topology": survey.lattice.topology, "string_width_px": survey.lattice.string_width_px}
    works = [Work(row, params) for row in tables.manifest(RECTIFIED, batch) if row.usable]
    if survey.workflow != "three_stage":
        return run_stage(
            tables,
            STAGE,
            batch,
            works,
            lambda work: Done(status=Status.SKIPPED, reason=f"workflow {survey.workflow}: the frame has no strings"),
            code_version=CODE_VERSION,
            labels=True,
        )
    try:
        # The pictures run side by side, so each call of the network keeps to one processor.
        finder = open_lattice_finder(
            models,
            load_topology(survey.lattice.topology),
            survey.models.lattice,
            survey.lattice.string_width_px,
            threads=1,
        )
    except ModelError as error:
        raise dg.Failure(f"models.lattice of survey {survey.name}: {error}", allow_retries=False) from error
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


def _find(tables: BatchTables, work: Work, finder: LatticeFinder) -> Done:
    finding = finder.find(load_rgb(tables, work.source))
    names = finder.topology.node_ids
    outside = [node for node, hidden in zip(names, finding.outside, strict=True) if hidden]
    shape = Shape(
        work.image_id,
        f"{work.image_id}:lattice",
        Kind.SKELETON,
        LATTICE_LABEL,
        [float(v) for v in finding.nodes.ravel()],
        attributes={OUTSIDE: ",".join(outside)} if outside else {},
        score=finding.score,
        model=finding.model,
    )
    extra = {
        "score": finding.score,
        "defects": finding.defects,
        "filled": len(outside),
        "string_width_px": finding.string_width_px,
        "uncertainty_px": [round(float(v), 2) for v in finding.uncertainty_px],
        "outliers": [names[i] for i in np.flatnonzero(finding.outliers)],
    }
    return Done(extra=extra, shapes=[shape])


def _label_specs(survey: SurveyConfig) -> list[dict[str, Any]]:
    return [lattice_label_spec(LATTICE_LABEL, load_topology(survey.lattice.topology))]


def _check(survey: SurveyConfig, row: ManifestRow, shapes: Sequence[Shape]) -> list[str]:
    """Exactly one lattice, with every node somewhere and in order."""
    topology = load_topology(survey.lattice.topology)
    if len(shapes) != 1:
        return [f"{len(shapes)} lattices where one is expected: keep one in CVAT and complete the job again"]
    hidden = set(shapes[0].outside_nodes())
    outside = np.array([node in hidden for node in topology.node_ids])
    return check_lattice(np.array(shapes[0].xy()), topology, row.width or 0, outside)


GATE = GateSpec(
    Gate.LATTICE,
    RECTIFIED,
    lambda survey: f"reefline lattice {survey.lattice.topology}",
    _label_specs,
    lambda survey: lattice_guide(LATTICE_LABEL, load_topology(survey.lattice.topology)),
    _check,
)
lattice_gate = gate_assets(GATE)
lattice_checks = gate_checks(GATE, lambda survey: {LATTICE_LABEL})


@dg.asset_check(asset=STAGE.split("/"), partitions_def=BATCHES)
def lattice_found(context: dg.AssetCheckExecutionContext, tables: dg.ResourceParam[BatchTables]) -> dg.AssetCheckResult:
    """The lattice was found without defects in most pictures."""
    rows = [row for row in tables.manifest(STAGE, context.partition_key) if row.status == Status.OK]
    clean = sum(not row.extra.get("defects") for row in rows)
    share = clean / len(rows) if rows else 1.0
    return dg.AssetCheckResult(
        passed=share >= FOUND_SHARE,
        severity=dg.AssetCheckSeverity.WARN,  # a person can still correct the nodes
        metadata={"without_defects": clean, "of": len(rows), "share": share},
    )
