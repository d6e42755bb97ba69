"""Models and annotators from batch to batch: what one batch says of each, and the batches beside each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analytics.quality.changes import Change, What

Series = dict[str, dict[str, float]]
"""Name -> batch -> value."""


def by_model(changes: Sequence[Change]) -> dict[str, dict[str, float | int | None]]:
    """What people made of each model's proposals.

    Returns:
        By model: ``proposals``, ``kept`` (share left as proposed), ``right`` (share that stayed with their taxon,
        reshaped or not: the model's precision), and ``mean_iou`` of those with what became of them.
    """
    mine: defaultdict[str, list[Change]] = defaultdict(list)
    for change in changes:
        if change.model and change.what != What.ADDED:
            mine[change.model].append(change)
    found: dict[str, dict[str, float | int | None]] = {}
    for model, own in sorted(mine.items()):
        counts = Counter(change.what for change in own)
        overlaps = [change.iou for change in own if change.iou is not None]
        found[model] = {
            "proposals": len(own),
            "kept": counts[What.UNCHANGED] / len(own),
            "right": (counts[What.UNCHANGED] + counts[What.RESHAPED]) / len(own),
            "mean_iou": float(np.mean(overlaps)) if overlaps else None,
        }
    return found


def by_annotator(figures: Mapping[str, Any], changes: Sequence[Change]) -> dict[str, dict[str, float | int | None]]:
    """What a batch says of each annotator.

    Args:
        figures: of the batch, with ``ground_truth`` and ``replicas`` where there are any.
        changes: of the batch.

    Returns:
        By annotator: ``drawn`` and ``changed`` outlines, ``accuracy`` against the ground truth, and ``agreement``, the
        mean Dice with the others who drew the same pictures; ``None`` where a batch cannot say.
    """
    found: defaultdict[str, dict[str, float | int | None]] = defaultdict(
        lambda: {"drawn": 0, "changed": 0, "accuracy": None, "agreement": None}
    )
    for name, what in (("drawn", {What.ADDED}), ("changed", {What.RESHAPED, What.RELABELLED})):
        for who, count in Counter(c.annotator for c in changes if c.annotator and c.what in what).items():
            found[str(who)][name] = count
    for who, row in ((figures.get("ground_truth") or {}).get("by_annotator") or {}).items():
        found[who]["accuracy"] = row["accuracy"]
    with_others: defaultdict[str, list[float]] = defaultdict(list)
    for pair in (figures.get("replicas") or {}).get("pairs") or []:
        for who in pair["people"]:
            with_others[who] += [pair["dice"]] * (pair["dice"] is not None)
    for who, values in with_others.items():
        found[who]["agreement"] = float(np.mean(values)) if values else None
    return dict(sorted(found.items()))


def series(batches: Mapping[str, Mapping[str, Any]], part: str, figure: str) -> Series:
    """A figure of everyone from batch to batch.

    Args:
        batches: figures by batch, in the order of the batches.
        part: ``by_model`` or ``by_annotator``.
        figure: what is followed.
    """
    found: Series = {}
    for batch, figures in batches.items():
        for name, row in (figures.get(part) or {}).items():
            if row.get(figure) is not None:
                found.setdefault(name, {})[batch] = row[figure]
    return found
