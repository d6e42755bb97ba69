"""Whether a batch is fit for a release, by its survey's thresholds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from analytics.quality.rules import Broken
from labels.survey_model import Quality


def reasons_against(
    thresholds: Quality,
    pictures: int,
    failed: int,
    broken: Sequence[Broken],
    ground_truth: dict[str, Any] | None,
    reviewed: bool = True,
) -> list[str]:
    """Why a batch may not enter a release, one line each; empty when it may.

    Args:
        thresholds: of the survey.
        pictures: that came to the last gate.
        failed: of them that ended without labels.
        broken: rules that reviewed outlines break.
        ground_truth: figures against the ground-truth job; None where there are none (yet).
        reviewed: whether people have seen pictures of the batch. Where they have, a threshold against the ground truth
            that was not measured is not reached.
    """
    found = []
    if not pictures:
        found.append("it has no picture")
    elif failed / pictures > thresholds.max_failed_share:
        found.append(
            f"{failed} of {pictures} pictures have no labels ({failed / pictures:.0%}; "
            f"max_failed_share is {thresholds.max_failed_share:.0%})"
        )
    for rule, count in sorted(Counter(b.rule for b in broken if b.rule in thresholds.forbidden).items()):
        first = next(b for b in broken if b.rule == rule)
        found.append(f"{count} outlines break the rule '{rule}', the first is {first.shape_id} of {first.image_id}")
    wanted = {"accuracy": thresholds.min_accuracy, "mean_iou": thresholds.min_mean_iou}
    for name, least in wanted.items():
        value = (ground_truth or {}).get(name)
        if least is None:
            continue
        if value is None and reviewed:
            found.append(
                f"{name} against the ground-truth job is not measured, min_{name} is {least:.3f}: complete that job, "
                "then make quality/report again"
            )
        elif value is not None and value < least:
            found.append(f"{name} against the ground-truth job is {value:.3f}, min_{name} is {least:.3f}")
    return found
