"""What a batch's report says of people and models: CVAT's figures beside ours, and everyone from batch to batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analytics.quality.trends import series
from analytics.report.charts import trend_lines
from analytics.report.overlay import data_uri

TRENDS = (
    ("by_model", "right", "Proposals of a model that stayed with their taxon"),
    ("by_model", "kept", "Proposals of a model that were left as they were"),
    ("by_annotator", "accuracy", "Accuracy of annotators against the ground truth"),
    ("by_annotator", "agreement", "Agreement of annotators with each other (Dice of outlines)"),
)
"""Part of the figures, figure, and what it is."""


def beside(figures: Mapping[str, Any]) -> dict[str, Any] | None:
    """Our figures against the ground truth beside those of CVAT's own report; ``None`` where it has none."""
    ours, theirs = figures.get("ground_truth"), figures.get("cvat")
    if not ours or not theirs:
        return None
    if "problem" in theirs:
        return {"problem": theirs["problem"]}
    counts = [("annotated", "ds_count"), ("in the truth", "gt_count"), ("right", "valid")]
    shares = [("accuracy", "accuracy"), ("precision", "precision"), ("recall", "recall"), ("mean IoU", "mean_iou")]
    kinds = sorted({*ours["conflicts_by_type"], *theirs["conflicts_by_type"]})
    conflicts = [
        (kind.replace("_", " "), ours["conflicts_by_type"].get(kind, 0), theirs["conflicts_by_type"].get(kind, 0))
        for kind in kinds
    ]
    labels = [
        (name, row, theirs["per_label"][name])
        for name, row in ours["per_label"].items()
        if theirs["per_label"].get(name, {}).get("accuracy") is not None and row["dice"] + row["jaccard"] > 0
    ]
    return {
        "counts": [(name, ours[key], theirs[key]) for name, key in counts] + conflicts,
        "shares": [(name, ours[key], theirs[key]) for name, key in shares],
        "labels": labels,
        **{name: theirs[name] for name in ("report", "created", "stale", "why", "settings")},
    }


def trends(figures: Mapping[str, Any], earlier: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Everyone in this batch, and charts of what can be followed over at least two batches."""
    batches = {**earlier, str(figures["batch"]): figures} if "batch" in figures else dict(earlier)
    charts = []
    for part, figure, title in TRENDS:
        found = series(batches, part, figure)
        if any(len(values) > 1 for values in found.values()):
            charts.append((title, data_uri(trend_lines(found, list(batches)), "image/png")))
    return {
        "models": figures.get("by_model") or {},
        "annotators": figures.get("by_annotator") or {},
        "charts": charts,
    }
