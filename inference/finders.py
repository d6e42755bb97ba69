"""Which finder a survey gets: the registry's model for a task, or none."""

from __future__ import annotations

from inference.registry import Model, ModelError, ModelRegistry

AUTO, OPENCV = "auto", "opencv"


def chosen_model(models: ModelRegistry, task: str, choice: str, threads: int = 0) -> Model | None:
    """The model of a finder; None stands for geometry alone.

    Args:
        models: the registry.
        task: what the model must be for.
        choice: ``auto`` (the newest model of this task, None when there is none), ``opencv`` (None), or a model's
            ``name`` or ``name@version``.
        threads: CPU threads of one call; 0 = all cores.

    Raises:
        ModelError: there is no such model, it is for another task, or its weights are not the registered ones.
    """
    if choice == OPENCV:
        return None
    if choice == AUTO:
        names = [card.name for card in models.cards() if card.task == task]
        return models.load(names[-1], threads=threads) if names else None
    model = models.load(choice, threads=threads)
    if model.card.task != task:
        raise ModelError(f"model {choice!r} is for {model.card.task}, not for {task}: name another in the survey file")
    return model
