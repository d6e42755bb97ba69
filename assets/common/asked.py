"""What the webhooks of a QUADRATSEG site ask for in their addresses. No Dagster.

There, ``/detect-model-webhook?model_name=...`` on a project ran that model on every job that was opened, and people
waited for its output. Here proposals are in a task before people see it, so a name counts for what is proposed next:

- a name on the webhook of an earlier gate's project, or of the coral project when the proposals of the batch are made
  again, is the model of the batch's coral proposals, if the registry has a coral model of that name or
  ``name@version`` that speaks the survey's taxonomy;
- any other name changes nothing: the survey's own model is used, and the reason stands in the metadata of
  ``corals/proposed`` and in the log. It is no error and no dead letter, because the same address names the corner and
  lattice models of the old site on their projects, which are no models of corals;
- to use a model for all batches of a survey, name it in the survey file (``models.corals``).
"""

from __future__ import annotations

import logging

from inference.registry import ModelCard, ModelError, ModelRegistry, labels_problem
from labels.survey import SurveyConfig
from resources.inbox import Inbox
from resources.inbox.letters import asked_models

logger = logging.getLogger("reefline.asked")


def with_asked_model(
    survey: SurveyConfig, batch: str, inbox: Inbox, models: ModelRegistry
) -> tuple[SurveyConfig, dict[str, str]]:
    """The survey as it holds for the coral proposals of a batch, and metadata that says so where a webhook spoke.

    Args:
        survey: as its file has it.
        batch: whose webhooks are looked at.
        inbox: what they brought.
        models: where names are looked up.
    """
    refused = []
    for name in asked_models(inbox, batch, "corals"):
        problem = _problem(name, survey, models)
        if problem is None:
            changed = survey.models.model_copy(update={"corals": name})
            return survey.model_copy(update={"models": changed}), {"model_asked_by_webhook": name}
        refused.append(problem)
    if not refused:
        return survey, {}
    told = "; ".join(refused) + f": the survey's model {survey.models.corals!r} is used"
    logger.warning("%s: webhooks name models that cannot propose corals: %s", batch, told)
    return survey, {"model_asked_by_webhook": told}


def _problem(name: str, survey: SurveyConfig, models: ModelRegistry) -> str | None:
    """Why a model cannot propose corals for a survey."""
    try:
        card: ModelCard = models.card(name)
    except ModelError as error:
        return str(error)
    return labels_problem(card, survey.taxonomy)
