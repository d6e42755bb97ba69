"""Gate 3, corals: one polygon per colony with its taxon, in the clean picture.

``corals/proposed`` outlines them with the survey's model; ``corals/review`` and ``corals/reviewed`` are the gate.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import numpy as np

from assets.clean import STAGE as CLEAN
from assets.common.gate import GateSpec
from assets.common.gate_assets import gate_assets, gate_checks
from assets.common.imported import imports_digest, proposed_by_import
from assets.common.metadata import stage_result
from assets.common.names import POOL_GPU, TEAM_VISION, Gate
from assets.common.partitions import BATCHES
from assets.common.pictures import load_rgb
from assets.common.stage import Done, StageResult, Work, run_stage
from inference.registry import ModelRegistry
from inference.segmentation import Segmenter, segment
from labels.formats.cvat import coral_guide, taxonomy_label_specs
from labels.manifest import ManifestRow
from labels.schema import Kind, Shape
from labels.survey import SurveyConfig
from labels.taxonomy import load_taxonomy
from resources.imports import OUTLINES, imported
from resources.settings import Settings
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

STAGE = "corals/proposed"
CODE_VERSION = "1"


@dg.asset(
    key=STAGE.split("/"),
    deps=[dg.AssetKey(CLEAN.split("/"))],
    partitions_def=BATCHES,
    group_name="corals",
    owners=[TEAM_VISION],
    kinds={"onnx", "parquet"},
    pool=POOL_GPU,
    code_version=CODE_VERSION,
)
def corals_proposed(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
    models: dg.ResourceParam[ModelRegistry],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Coral outlines proposed by the survey's model, each with taxon, score and the model's hash."""
    batch = context.partition_key
    survey = surveys.of_batch(batch)
    result = propose(tables, survey, batch, models, settings.worker_threads)
    counts: dict[str, int | float | str] = {
        "colonies": len(result.shapes),
        "model": models.reference(survey.models.corals),
    }
    return stage_result(result, tables, counts, colors=_colors(survey))


def propose(
    tables: BatchTables, survey: SurveyConfig, batch: str, models: ModelRegistry, threads: int = 1
) -> StageResult:
    """Outline corals in every clean picture; where old labels were imported, they are what is proposed.

    Raises:
        dg.Failure: the model proposes taxa that the survey's taxonomy does not have.
    """
    model = Segmenter.of(models.load(survey.models.corals, threads=threads))
    unknown = sorted(set(model.labels) - {taxon.name for taxon in load_taxonomy(survey.taxonomy).taxa})
    if unknown:
        raise dg.Failure(
            f"model {model.reference} proposes {', '.join(unknown)}, unknown to taxonomy {survey.taxonomy!r}: "
            "choose another model or taxonomy in the survey file",
            allow_retries=False,
        )

    works = [Work(row) for row in tables.manifest(CLEAN, batch) if row.usable]
    known = imported(tables.store, survey.name, OUTLINES, {work.image_id for work in works})
    for work in works:
        if work.image_id in known:
            work.params["imported"] = imports_digest(known[work.image_id][1])

    def do(work: Work) -> Done:
        if work.image_id in known:
            return proposed_by_import(work.source, known[work.image_id][1])
        instances = segment(load_rgb(tables, work.source), model)
        shapes = [
            Shape(
                work.image_id,
                f"{work.image_id}:{number:04d}",
                Kind.POLYGON,
                instance.label,
                [float(v) for v in np.asarray(instance.ring).ravel()],
                holes=[[float(v) for v in np.asarray(hole).ravel()] for hole in instance.holes],
                score=instance.score,
                model=model.reference,
            )
            for number, instance in enumerate(instances)
        ]
        scores = [i.score for i in instances]
        # The picture is as sure as its least sure colony; one without any colony is never sure.
        extra = {"score": float(min(scores, default=0.0)), "colonies": len(shapes), "defects": []}
        return Done(extra=extra, shapes=shapes)

    # One picture at a time: the engine itself uses all threads.
    return run_stage(tables, STAGE, batch, works, do, code_version=CODE_VERSION, model=model.reference, labels=True)


def _label_specs(survey: SurveyConfig) -> list[dict[str, Any]]:
    kind = "mask" if survey.cvat.outlines == "masks" else "polygon"
    return taxonomy_label_specs(load_taxonomy(survey.taxonomy), kind)


def _check(survey: SurveyConfig, row: ManifestRow, shapes: Sequence[Shape]) -> list[str]:
    """A picture may well have no colony; what cannot be an outline was named when reading back."""
    return []


def _colors(survey: SurveyConfig) -> dict[str, str]:
    return {taxon.name: taxon.color for taxon in load_taxonomy(survey.taxonomy).taxa}


GATE = GateSpec(
    Gate.CORALS,
    CLEAN,
    lambda survey: f"reefline corals {survey.taxonomy}" + (" masks" if survey.cvat.outlines == "masks" else ""),
    _label_specs,
    lambda survey: coral_guide(load_taxonomy(survey.taxonomy)),
    _check,
    _colors,
)
corals_gate = gate_assets(GATE)
corals_checks = gate_checks(GATE, lambda survey: {taxon.name for taxon in load_taxonomy(survey.taxonomy).taxa})
