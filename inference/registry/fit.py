"""Whether a model's labels fit a survey's taxonomy; asked when a survey is configured, not when a batch is running."""

from __future__ import annotations

from inference.registry.card import TASKS, ModelCard, ModelError
from labels.taxonomy import Taxonomy, TaxonomyError, load_crosswalk, load_taxonomy


def class_map(card: ModelCard, taxonomy: str | Taxonomy) -> dict[str, str | None]:
    """For each label of the model the taxon it becomes, ``None`` to drop it.

    A card with a ``crosswalk`` speaks that taxonomy, and its crosswalk leads on; without one the labels are the taxa.

    Args:
        card: of a model that proposes corals.
        taxonomy: a name or path, as in a survey file, or the taxonomy itself (then a crosswalk goes by its name).

    Raises:
        ModelError: a label leads to no taxon of the taxonomy, or there is no such crosswalk.
        TaxonomyError: there is no such taxonomy.
    """
    target = load_taxonomy(taxonomy) if isinstance(taxonomy, str) else taxonomy
    if card.crosswalk is None or card.crosswalk == target.name:
        mapped: dict[str, str | None] = {label: label for label in card.labels}
    else:
        try:
            walk = load_crosswalk(card.crosswalk, taxonomy if isinstance(taxonomy, str) else target.name)
            mapped = {label: walk.apply(label) for label in card.labels}
        except TaxonomyError as error:
            raise ModelError(f"model {card.versioned} does not fit taxonomy {target.name!r}: {error}") from error
    unknown = sorted(label for label, taxon in mapped.items() if taxon is not None and taxon not in target.names)
    if unknown:
        raise ModelError(
            f"model {card.versioned} proposes {', '.join(unknown)}, unknown to taxonomy {target.name!r}: choose "
            "another model or taxonomy in the survey file, or name the model's own taxonomy as 'crosswalk' in its card"
        )
    return mapped


def labels_problem(card: ModelCard, taxonomy: str) -> str | None:
    """Why a model cannot propose corals for surveys of this taxonomy; ``None`` when it can.

    Raises:
        TaxonomyError: there is no such taxonomy.
    """
    if not TASKS.get(card.task, False):
        return f"model {card.versioned} is for {card.task}, not for corals: choose a coral model in the survey file"
    try:
        class_map(card, taxonomy)
    except ModelError as error:
        return str(error)
    return None
