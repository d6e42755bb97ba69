"""Gate 3, corals: one polygon per colony with its taxon, in the clean picture.

``corals/proposed`` outlines them with the survey's model; ``corals/review`` and ``corals/reviewed`` are the gate.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from assets.clean import STAGE as CLEAN
from assets.common.asked import with_asked_model
from assets.common.gate import GateSpec
from assets.common.gate_assets import gate_assets, gate_checks
from assets.common.imported import imports_digest, proposed_by_import
from assets.common.metadata import stage_result
from assets.common.names import POOL_GPU, TEAM_VISION, Gate
from assets.common.seeing import with_task
from assets.common.sharded import Tools, sharded_asset
from assets.common.stage import Done, Made, Share, StageResult, Work, one_by_one, run_stage_together
from inference.engines import EngineError
from inference.registry import ModelError, ModelRegistry, class_map
from inference.segmentation import Instance, Options, Segmenter
from labels.formats.cvat import coral_guide, taxonomy_label_specs
from labels.manifest import ManifestRow
from labels.schema import Kind, Shape
from labels.survey import SurveyConfig
from labels.taxonomy import load_taxonomy
from resources.imports import OUTLINES, imported
from resources.tables import BatchTables

STAGE = "corals/proposed"
CODE_VERSION = "2"


def _report(tools: Tools, batch: str, result: StageResult) -> dg.MaterializeResult:
    survey, said = _asked(tools, batch)
    counts: dict[str, int | float | str] = {
        "colonies": len(result.shapes),
        "model": tools.models.reference(survey.models.corals),
        **said,
    }
    return stage_result(result, tools.tables, counts, colors=_colors(survey))


def _asked(tools: Tools, batch: str) -> tuple[SurveyConfig, dict[str, str]]:
    """The batch's survey, with the model that a QUADRATSEG webhook has asked for."""
    return with_asked_model(tools.surveys.of_batch(batch), batch, tools.inbox, tools.models)


def propose(
    tables: BatchTables,
    survey: SurveyConfig,
    batch: str,
    models: ModelRegistry,
    threads: int = 1,
    share: Share | None = None,
    shared: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> StageResult:
    """Outline corals in every clean picture, or in a worker's share of them; imported labels are proposed as they are.

    Raises:
        dg.Failure: the model cannot be opened, or its labels do not fit the survey's taxonomy.
    """
    task = segmenter(survey, models, threads)

    def then(work: Work, image: NDArray[np.uint8], instances: list[Instance]) -> Done:
        return _done(work, instances, task.reference)

    works = [Work(row, asdict(task.options)) for row in tables.manifest(CLEAN, batch) if row.usable]
    known = imported(tables.store, survey.name, OUTLINES, {work.image_id for work in works})
    for work in works:
        if work.image_id in known:
            work.params["imported"] = imports_digest(known[work.image_id][1])
    by_model = with_task(tables, task, then, workers=threads, progress=progress)
    by_import = one_by_one(lambda work: proposed_by_import(work.source, known[work.image_id][1]))

    def many(some: Sequence[Work]) -> Iterator[Made]:
        yield from by_import([work for work in some if work.image_id in known])
        yield from by_model([work for work in some if work.image_id not in known])

    return run_stage_together(
        tables,
        STAGE,
        batch,
        works,
        many,
        code_version=CODE_VERSION,
        model=task.reference,
        labels=True,
        share=share,
        shared=shared,
    )


def segmenter(survey: SurveyConfig, models: ModelRegistry, threads: int = 1) -> Segmenter:
    """The survey's model, asked as the survey says.

    Raises:
        dg.Failure: the model cannot be opened, or its labels do not fit the survey's taxonomy.
    """
    try:
        model = models.load(survey.models.corals, threads=threads)
        task = Segmenter.of(model, _options(survey), class_map(model.card, survey.taxonomy))
        task.engine.load()
    except (ModelError, EngineError) as error:
        raise dg.Failure(f"survey {survey.name}: {error}", allow_retries=False) from error
    return task


def _options(survey: SurveyConfig) -> Options:
    ask = survey.segmentation
    least = math.pi / 4 * (ask.min_colony_cm / survey.frame.side_cm) ** 2
    return Options(ask.min_score, ask.tile_px, ask.tile_overlap, ask.iou, ask.flip, least)


def _done(work: Work, instances: Sequence[Instance], model: str) -> Done:
    shapes = [
        Shape(
            work.image_id,
            f"{work.image_id}:{number:04d}",
            Kind.POLYGON,
            instance.label,
            [float(v) for v in instance.ring.ravel()],
            holes=[[float(v) for v in hole.ravel()] for hole in instance.holes],
            score=instance.score,
            model=model,
        )
        for number, instance in enumerate(instances)
    ]
    scores = [i.score for i in instances]
    # The picture is as sure as its least sure colony; one without any colony is never sure.
    extra = {"score": float(min(scores, default=0.0)), "colonies": len(shapes), "defects": []}
    return Done(extra=extra, shapes=shapes)


corals_proposed = sharded_asset(
    STAGE,
    [CLEAN],
    lambda tools, batch: propose(
        tools.tables,
        _asked(tools, batch)[0],
        batch,
        tools.models,
        tools.settings.worker_threads,
        tools.share,
        tools.shared,
        tools.progress,
    ),
    _report,
    description="Coral outlines proposed by the survey's model, each with taxon, score and the model's hash. "
    "A webhook of a QUADRATSEG site may name another model for the batch.",
    code_version=CODE_VERSION,
    pool=POOL_GPU,
    owners=[TEAM_VISION],
    kinds={"onnx", "parquet"},
)


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
