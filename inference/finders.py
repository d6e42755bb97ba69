"""Which finder a survey gets: the registry's model for a task, or none."""

from __future__ import annotations

from inference.registry import Model, ModelCard, ModelError, ModelRegistry

AUTO, OPENCV = "auto", "opencv"


def chosen_card(models: ModelRegistry, task: str, choice: str) -> ModelCard | None:
    """The card of a finder's model; None stands for geometry alone.

    Args:
        models: the registry.
        task: what the model must be for.
        choice: ``auto`` (the registry's first model of this task, in its promoted version; None when there is none),
            ``opencv`` (None), or a model's ``name`` or ``name@version``.

    Raises:
        ModelError: there is no such model, or it is for another task.
    """
    if choice == OPENCV:
        return None
    if choice == AUTO:
        # The first is the shipped one: a model added under another name is used when a survey names it.
        name = next((card.name for card in models.cards() if card.task == task), None)
        return None if name is None else models.card(name)
    card = models.card(choice)
    if card.task != task:
        raise ModelError(f"model {choice!r} is for {card.task}, not for {task}: name another in the survey file")
    return card


def chosen_model(models: ModelRegistry, task: str, choice: str, threads: int = 0) -> Model | None:
    """The model of :func:`chosen_card`, verified and ready. ``threads``: CPU threads of one call; 0 = all cores.

    Raises:
        ModelError: as there, or its weights are not the registered ones.
    """
    card = chosen_card(models, task, choice)
    return None if card is None else models.load(card.versioned, threads=threads)
