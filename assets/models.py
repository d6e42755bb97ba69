"""The retraining loop, partitioned by ``release``: a candidate from its labels, its evaluation, promotion by rule."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from analytics.contact_sheet import markdown_image
from analytics.training_plots import training_plot
from assets.common.evaluation import evaluate, headline, promote_by_rule, report_table
from assets.common.names import META_PREVIEW, POOL_GPU, TEAM_VISION
from assets.common.partitions import RELEASES
from assets.common.training import Candidate, candidate_of, train_candidate
from assets.release import STAGE as RELEASE
from inference.comparison import MIN_QUADRATS
from inference.registry import ModelError
from inference.training.recipe import RecipeError, load_recipe
from inference.training.ultralytics_door import MissingExtraError
from inference.training.yolo_dataset import DatasetError
from resources.models import InstalledModels
from resources.release_data import read_release
from resources.releases import ReleaseError
from resources.settings import Settings
from resources.tables import BatchTables

GROUP = "models"
CODE_VERSION = "1"
DEFAULT_NAME = "reef-corals"
ENOUGH = "enough_quadrats"
REFUSALS = (ModelError, RecipeError, ReleaseError, DatasetError, MissingExtraError)
"""What a person has to mend: no retry helps."""


class CandidateConfig(dg.Config):
    """Which model is retrained, by which recipe, and what should differ from it; empty fields change nothing."""

    name: str = Field(
        DEFAULT_NAME,
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description="Name of the model, as in 'models' of the survey files. The new version follows from the release.",
    )
    recipe: str = Field("coral-instances", description="A shipped recipe (inference/training/recipes) or a YAML file.")
    epochs: int | None = Field(None, ge=1, le=2000, description="Times through the training pictures.")
    image_px: int | None = Field(None, ge=64, le=2048, description="Side the network sees: a multiple of 32, pixels.")
    batch: int | None = Field(None, ge=1, le=256, description="Pictures per step.")
    seed: int | None = Field(None, ge=0, le=2**31 - 1, description="Of weights, order and augmentation.")


class ChampionConfig(dg.Config):
    """Which candidate is meant."""

    name: str = Field("", description="Name of the model. Empty: the candidate added last for this release.")


class EvaluationConfig(ChampionConfig):
    """What the candidate is compared with."""

    against: str = Field("", description="Model to beat: name or name@version. Empty: the promoted one of this name.")
    margin: float = Field(
        0.0, ge=0, le=1, description="The interval of the difference in mAP50 must lie above this to be 'better'."
    )


@dg.asset(
    key=[GROUP, "candidate"],
    deps=[dg.AssetKey(RELEASE.split("/"))],
    partitions_def=RELEASES,
    group_name=GROUP,
    owners=[TEAM_VISION],
    kinds={"pytorch", "onnx"},
    pool=POOL_GPU,
    code_version=CODE_VERSION,
)
def models_candidate(
    context: dg.AssetExecutionContext,
    config: CandidateConfig,
    tables: dg.ResourceParam[BatchTables],
    models: dg.ResourceParam[InstalledModels],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """A coral model trained on the release's training split, registered but not promoted. Killed, it goes on."""
    changes = config.model_dump(exclude={"name", "recipe"})
    try:
        recipe = load_recipe(config.recipe, **changes)
        release = read_release(tables.store, context.partition_key)
        made = train_candidate(
            models,
            release,
            config.name,
            recipe,
            settings.home / "training",
            f"run {context.run_id}",
            lambda epoch, losses: context.log.info(f"epoch {epoch} of {recipe.epochs}: {losses}"),
        )
    except REFUSALS as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    return dg.MaterializeResult(metadata=_candidate_metadata(made))


def _candidate_metadata(made: Candidate) -> dict[str, dg.MetadataValue]:
    facts: dict[str, dg.MetadataValue] = {
        "model": dg.MetadataValue.text(made.card.reference),
        "trained_on": dg.MetadataValue.text(made.card.trained_on),
        "metrics": dg.MetadataValue.json(dict(made.card.metrics)),
        "trained_now": dg.MetadataValue.bool(made.trained is not None),
    }
    if made.trained is not None and made.dataset is not None:
        facts |= {
            "epochs": dg.MetadataValue.int(made.trained.epochs),
            "resumed_at_epoch": dg.MetadataValue.int(made.trained.resumed_at),
            "device": dg.MetadataValue.text(made.trained.device),
            "seconds": dg.MetadataValue.float(round(made.trained.seconds, 1)),
            "unreadable": dg.MetadataValue.json(made.dataset.unreadable),
            META_PREVIEW: dg.MetadataValue.md(
                markdown_image(training_plot(made.trained.curves), "image/png", "losses by epoch")
            ),
        }
    return facts


@dg.asset(
    key=[GROUP, "evaluation"],
    deps=[dg.AssetKey([GROUP, "candidate"])],
    partitions_def=RELEASES,
    group_name=GROUP,
    owners=[TEAM_VISION],
    kinds={"onnx"},
    pool=POOL_GPU,
    code_version=CODE_VERSION,
    check_specs=[
        dg.AssetCheckSpec(
            ENOUGH,
            asset=[GROUP, "evaluation"],
            description=f"At least {MIN_QUADRATS} quadrats: fewer give intervals that mean nothing.",
        )
    ],
)
def models_evaluation(
    context: dg.AssetExecutionContext,
    config: EvaluationConfig,
    tables: dg.ResourceParam[BatchTables],
    models: dg.ResourceParam[InstalledModels],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Candidate and champion on the release's frozen validation pictures, per taxon, with bootstrap intervals."""
    try:
        candidate = candidate_of(models, context.partition_key, config.name)
        release = read_release(tables.store, context.partition_key)
        report = evaluate(
            models,
            release,
            candidate.versioned,
            config.against or None,
            margin=config.margin,
            threads=settings.worker_threads,
        )
    except REFUSALS as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    return dg.MaterializeResult(check_results=[_enough(report)], metadata=_evaluation_metadata(report))


def _enough(report: Mapping[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=ENOUGH,
        passed=report["quadrats"] >= MIN_QUADRATS,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"quadrats": report["quadrats"], "needed": MIN_QUADRATS},
    )


def _evaluation_metadata(report: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "candidate": report["candidate"],
        "champion": report["champion"] or "none",
        "better": report["better"],
        "verdict": report["why"],
        "pictures": report["pictures"],
        "quadrats": report["quadrats"],
        "unreadable": dg.MetadataValue.json(report["unreadable"]),
        "validation_set": f"{report['release']} {report['split']} {report['content_sha256'][:12]}",
        "overall": dg.MetadataValue.json(headline(report)),
        META_PREVIEW: dg.MetadataValue.md(report_table(report)),
    }


@dg.asset(
    key=[GROUP, "champion"],
    deps=[dg.AssetKey([GROUP, "evaluation"])],
    partitions_def=RELEASES,
    group_name=GROUP,
    owners=[TEAM_VISION],
    kinds={"onnx"},
    code_version=CODE_VERSION,
)
def models_champion(
    context: dg.AssetExecutionContext, config: ChampionConfig, models: dg.ResourceParam[InstalledModels]
) -> dg.MaterializeResult:
    """The version that the model's name means from now on: the candidate when the rule says better, else as before."""
    try:
        candidate = candidate_of(models, context.partition_key, config.name)
    except ModelError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    try:
        event = promote_by_rule(models, candidate.versioned, f"run {context.run_id}", release=context.partition_key)
        promoted, why = True, event.why
    except ModelError as error:  # 'not better' is an answer, not a failure
        promoted, why = False, str(error)
        context.log.warning(why)
    version = models.promoted(candidate.name)
    now = f"{candidate.name}@{version}" if version else "none"
    return dg.MaterializeResult(metadata={"promoted_now": promoted, "why": why, "promoted": now})
