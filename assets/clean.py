"""``images/clean``: the rectified picture with the lattice removed; the mask of invented pixels is kept beside it."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np

from assets.common.before_after import before_after_sheet
from assets.common.metadata import stage_result
from assets.common.names import POOL_GPU, TEAM_VISION
from assets.common.pictures import load_rgb, save_jpeg, save_png
from assets.common.sharded import Tools, sharded_asset
from assets.common.stage import (
    Done,
    PictureError,
    Share,
    StageResult,
    Work,
    one_by_one,
    run_stage_together,
    shapes_by_image,
)
from assets.lattice import GATE as LATTICE
from assets.rectified import STAGE as RECTIFIED
from inference.engines import EngineError
from inference.registry import ModelError, ModelRegistry
from inference.removal import (
    LEARNED_MODEL,
    MODELS,
    CleanPicture,
    LamaEngine,
    Predicts,
    RemovalError,
    RemovalPlan,
    clean_picture,
    open_lama,
)
from labels.lattice import load_topology
from labels.manifest import ManifestRow, Status
from labels.survey import SurveyConfig
from labels.survey_model import Removal
from resources.tables import BatchTables

STAGE = "images/clean"
CODE_VERSION = "2"


def counts(rows: list[ManifestRow]) -> dict[str, int | float | str]:
    """What the pictures' removal comes to."""
    made = [row.extra for row in rows if "removal_score" in row.extra]
    return {
        "mean_inpainted_share": float(np.mean([extra["inpainted_share"] for extra in made] or [0])),
        "mean_removal_score": float(np.mean([extra["removal_score"] for extra in made] or [0])),
        "pictures_to_look_at": sum(bool(extra["removal_defects"]) for extra in made),
        "pictures_with_tape": sum("tape_width_px" in extra for extra in made),
    }


def clean(
    tables: BatchTables,
    survey: SurveyConfig,
    batch: str,
    threads: int = 1,
    models: ModelRegistry | None = None,
    share: Share | None = None,
    shared: int = 0,
) -> StageResult:
    """Remove the reviewed lattice, and the tape if the survey says so, from a batch or a worker's share of it.

    Raises:
        dg.Failure: the survey's removal model cannot be used.
    """
    reviewed = [row for row in tables.manifest(LATTICE.reviewed, batch) if row.usable]
    skipped = {row.image_id: row.reason for row in reviewed if row.status == Status.SKIPPED}
    topology = load_topology(survey.lattice.topology)
    wanted = survey.removal
    plan = RemovalPlan(wanted.method, wanted.radius, survey.lattice.string_width_px, wanted.dilation_px, wanted.tape)
    model, engine = painter(survey, models or ModelRegistry(), threads)

    def do(work: Work) -> Done:
        if not work.params:
            return Done(status=Status.SKIPPED, reason=skipped[work.image_id], extra=dict(work.source.extra))
        image = load_rgb(tables, work.source)
        nodes = np.array(work.params["nodes"]).reshape(-1, 2)
        try:
            made = clean_picture(image, nodes, topology, plan, engine, work.params["outside"])
        except (ValueError, RemovalError) as error:
            raise PictureError(str(error)) from error
        sha256, uri = save_jpeg(tables, "clean", made.image)
        mask_sha256, mask_uri = save_png(tables, "masks", made.mask)
        extra = {**work.source.extra, "mask_uri": mask_uri, "mask_sha256": mask_sha256, **facts(made)}
        return Done(sha256, uri, image.shape[1], image.shape[0], extra=extra)

    return run_stage_together(
        tables,
        STAGE,
        batch,
        _works(tables, batch, reviewed, survey),
        one_by_one(do, threads),
        code_version=CODE_VERSION,
        model=model,
        share=share,
        shared=shared,
    )


def painter(survey: SurveyConfig, models: ModelRegistry, threads: int) -> tuple[str, Predicts | None]:
    """What is written as the model of the survey's removal, and its engine where it needs one.

    Raises:
        dg.Failure: the model is missing, or not the registered or pinned one.
    """
    wanted = survey.removal
    try:
        if wanted.method == "learned":
            model = models.load(wanted.model or LEARNED_MODEL, threads=threads)
            model.engine.load()
            return model.reference, model.engine
        if wanted.method == "lama":
            lama = _lama(wanted, models)
            return lama.reference, lama
    except (ModelError, EngineError, RemovalError) as error:
        raise dg.Failure(f"removal of survey {survey.name}: {error}", allow_retries=False) from error
    return MODELS[wanted.method], None


def _lama(wanted: Removal, models: ModelRegistry) -> LamaEngine:
    if not wanted.model:
        return open_lama(Path(wanted.weights or ""), wanted.sha256 or "")
    card = models.card(wanted.model)
    return LamaEngine(models.weights(card), card.sha256, card.reference)


def facts(made: CleanPicture) -> dict[str, Any]:
    """What the manifest keeps of a removal."""
    found = {} if made.tape is None else {"tape_width_px": round(made.tape.width_px, 2)}
    return {
        "inpainted_share": float((made.mask > 0).mean()),
        "removal_score": round(made.score.score, 4),
        "removal_defects": made.defects,
        "string_width_px": round(made.string_width_px, 2),
        **found,
    }


def _works(tables: BatchTables, batch: str, reviewed: list[ManifestRow], survey: SurveyConfig) -> list[Work]:
    rectified = {row.image_id: row for row in tables.manifest(RECTIFIED, batch) if row.usable}
    shapes = shapes_by_image(tables.labels(LATTICE.reviewed, batch))
    topology = load_topology(survey.lattice.topology)
    wanted = survey.removal
    settings = {
        "method": wanted.method,
        "radius": wanted.radius,
        "width": survey.lattice.string_width_px,
        "dilation": wanted.dilation_px,
        "tape": wanted.tape,
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
    return works


def _report(tools: Tools, batch: str, result: StageResult) -> dg.MaterializeResult:
    tables = tools.tables
    before = {row.image_id: row for row in tables.manifest(RECTIFIED, batch)}
    return stage_result(result, tables, counts(result.rows), preview=before_after_sheet(tables, before, result.rows))


images_clean = sharded_asset(
    STAGE,
    [RECTIFIED, LATTICE.reviewed],
    lambda tools, batch: clean(
        tools.tables,
        tools.surveys.of_batch(batch),
        batch,
        tools.settings.worker_threads,
        tools.models,
        tools.share,
        tools.shared,
    ),
    _report,
    description="Pictures without strings, for outlining corals. Only mask pixels change; the mask is kept as a PNG.",
    code_version=CODE_VERSION,
    pool=POOL_GPU,
    owners=[TEAM_VISION],
    kinds={"opencv", "onnx", "image"},
)
