"""Survey files and the models they ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inference.finders import chosen_card
from inference.registry import ModelError, ModelRegistry, labels_problem
from labels.survey import SurveyConfig
from orchestration.doctor.findings import Finding, Level
from resources.models import InstalledModels
from resources.object_store import StoreError
from resources.surveys import FolderPhotos, SurveyCatalog


def check_surveys(catalog: SurveyCatalog) -> Iterator[Finding]:
    """Survey files are there and can be read."""
    surveys, problems = catalog.all()
    for problem in problems:
        yield Finding("surveys", Level.FAIL, problem, "correct the file; 'reefline survey check' says where")
    if surveys:
        yield Finding("surveys", Level.OK, f"{len(surveys)} in {catalog.folder}: {', '.join(s.name for s in surveys)}")
    elif not problems:
        yield Finding("surveys", Level.FAIL, f"no survey file in {catalog.folder}", "copy surveys/example.yaml there")
    for survey in surveys:
        photos = catalog.photos(survey)
        if isinstance(photos, FolderPhotos) and not photos.root.is_dir():
            fix = "mount or make the folder, or correct photos.folder in the survey file"
            yield Finding(f"photos of {survey.name}", Level.FAIL, f"{photos.root} is not a folder here", fix)


def model_problem(models: ModelRegistry, survey: SurveyConfig) -> str | None:
    """Why a survey's coral model cannot work for it; ``None`` when it can."""
    try:
        return labels_problem(models.card(survey.models.corals), survey.taxonomy)
    except ModelError as error:
        return str(error)


def check_models(models: InstalledModels, surveys: Sequence[SurveyConfig]) -> Iterator[Finding]:
    """The surveys' models exist, their files are the registered ones, and their labels fit."""
    try:
        cards = models.cards()
        used = {survey.models.corals for survey in surveys}
        for survey in surveys:
            for task, choice in (("corners", survey.models.corners), ("lattice", survey.models.lattice)):
                finder = chosen_card(models, task, choice)
                used |= set() if finder is None else {finder.versioned}
            problem = model_problem(models, survey)
            if problem:
                yield Finding(f"model of {survey.name}", Level.FAIL, problem, "change the survey file")
                used.discard(survey.models.corals)
        for name in sorted(used):
            models.weights(models.card(name))
    except (ModelError, StoreError, OSError) as error:
        yield Finding("models", Level.FAIL, str(error), "reefline models list; reefline models rollback NAME")
        return
    verified = ", ".join(map(models.reference, sorted(used))) or "none, no survey uses one"
    yield Finding("models", Level.OK, f"{len(cards)} registered; verified: {verified}")
