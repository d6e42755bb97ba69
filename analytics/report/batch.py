"""The report of one batch: verdict, figures, what people changed, and the pictures that need a second look first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from numpy.typing import NDArray

from analytics.quality import BatchQuality, What
from analytics.quality.counts import UNMATCHED
from analytics.report.charts import change_bars, overlap_curve
from analytics.report.overlay import data_uri, overlay
from analytics.report.people import beside, trends
from labels.schema import Shape

WORST_SHOWN = 12
RULES_SHOWN = 40
CONFLICTS_SHOWN = 8
NOT_SEEN = "Nobody was asked about the corals of these pictures: how good the proposals are is not known."


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the report.

    Attributes:
        load: gives it as uint8 RGB of any size.
        size: (width, height) in pixels of the frame of its shapes.
        title: how people know it: site, year, quadrat, or the file name.
    """

    load: Callable[[], NDArray[np.uint8]]
    size: tuple[int, int]
    title: str
    proposed: Sequence[Shape] = ()
    reviewed: Sequence[Shape] = ()


@dataclass(frozen=True, slots=True)
class GatePixels:
    """How far people moved the points of a skeleton gate, as :func:`analytics.quality.compare_skeletons` says."""

    name: str
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What a report is made of.

    Attributes:
        quality: proposals against reviewed labels.
        figures: the batch's figures as stored beside the report.
        pictures: by image id.
        colors: RGB by label.
        reasons: why the batch does not pass its survey's thresholds; empty when it does.
        earlier: figures of earlier batches of the survey, in their order.
    """

    batch: str
    title: str
    quality: BatchQuality
    figures: Mapping[str, Any]
    gates: Sequence[GatePixels]
    pictures: Mapping[str, Picture]
    colors: Mapping[str, tuple[int, int, int]]
    reasons: Sequence[str] = ()
    broken: Sequence[Mapping[str, Any]] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    earlier: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def batch_report(given: BatchReport) -> bytes:
    """The report as one HTML file with everything in it; equal inputs give equal bytes."""
    ious = given.quality.ious
    return (
        templates()
        .get_template("batch.html")
        .render(
            batch=given.batch,
            title=given.title,
            reasons=given.reasons,
            cards=_cards(given),
            gates=given.gates,
            nothing="People changed nothing." if given.figures["corals"]["pictures"] else NOT_SEEN,
            confusion=_confusion(given.quality),
            curve=data_uri(overlap_curve(ious), "image/png") if ious else None,
            bars=_bars(given.quality),
            amounts=_amounts(given),
            labels=given.figures["corals"]["per_label"],
            truth=given.figures.get("ground_truth"),
            beside=beside(given.figures),
            replicas=given.figures.get("replicas"),
            trends=trends(given.figures, given.earlier),
            worst=[_worst(given, picture.image_id) for picture in _doubtful(given.quality)[:WORST_SHOWN]],
            broken=given.broken[:RULES_SHOWN],
            more_broken=max(0, len(given.broken) - RULES_SHOWN),
            failed=given.failed,
            colors={label: f"rgb{color}" for label, color in given.colors.items()},
        )
        .encode("utf-8")
    )


def templates() -> Environment:
    """The pages' templates; a name that nobody filled in is an error, and everything is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: "–" if value is None else f"{100 * value:.1f} %"
    environment.filters["number"] = lambda value: "–" if value is None else f"{value:,.2f}"
    return environment


def _cards(given: BatchReport) -> list[tuple[str, str, str]]:
    """Name, value, and what it means."""
    corals = given.figures["corals"]
    changes = Counter(corals["changes"])
    touched = sum(changes.values()) - changes["unchanged"]
    precision = corals.get("average_precision") or {}
    seen = f"{corals['pictures']} seen by people, {len(given.failed)} without labels"
    return [
        ("pictures", str(len(given.pictures)), seen),
        ("proposals kept", _percent(changes["unchanged"], sum(changes.values())), f"{touched} touched by people"),
        ("precision", _plain(corals["precision"]), "share of proposals that are right"),
        ("recall", _plain(corals["recall"]), "share of colonies that were proposed"),
        ("mean IoU", _plain(corals["matched_iou"]), "of proposals and what became of them"),
        ("mAP50", _plain(precision.get("AP50")), "COCO average precision at IoU 0.5"),
        ("rules broken", str(len(given.broken)), "overlap, sliver, self-crossing, ..."),
    ]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _confusion(quality: BatchQuality) -> dict[str, Any]:
    """Rows and columns that have anything in them, shaded by their share of the row."""
    matrix = quality.confusion.matrix
    names = [*quality.confusion.labels, UNMATCHED]
    kept = [k for k in range(len(names)) if matrix[k].any() or matrix[:, k].any()]
    rows = []
    for k in kept:
        total = max(1, int(matrix[k].sum()))
        rows.append((names[k], [(int(matrix[k, j]), round(float(matrix[k, j]) / total, 3), j == k) for j in kept]))
    return {"columns": [names[k] for k in kept], "rows": rows}


def _bars(quality: BatchQuality) -> str | None:
    changes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for change in quality.changes:
        changes[change.label][change.what.value] += 1
    return data_uri(change_bars(changes), "image/png") if changes else None


def _amounts(given: BatchReport) -> list[tuple[str, int, float, float | None]]:
    """How much people did: what, colonies, their ground as a share of the pictures seen, median way of the outline."""
    ground = sum(float(np.prod(given.pictures[p.image_id].size)) for p in given.quality.pictures)
    rows = []
    for what in (What.RESHAPED, What.RELABELLED, What.ADDED, What.DELETED):
        mine = [change for change in given.quality.changes if change.what == what]
        ways = [change.moved_px for change in mine if change.moved_px]
        if mine and ground:
            changed = sum(change.changed_px for change in mine) / ground
            rows.append((what.value, len(mine), changed, float(np.median(ways)) if ways else None))
    return rows


def _doubtful(quality: BatchQuality) -> list[Any]:
    """Pictures with at least one conflict, worst first."""
    return [picture for picture in quality.pictures if picture.conflicts]


def _worst(given: BatchReport, image_id: str) -> dict[str, Any]:
    picture = given.pictures[image_id]
    own = next(p for p in given.quality.pictures if p.image_id == image_id)
    drawn = overlay(picture.load(), picture.size, picture.proposed, picture.reviewed, given.colors)
    counts = Counter(str(row["conflict"]).replace("_", " ") for row in own.conflicts)
    lines = [_said(row) for row in own.conflicts[:CONFLICTS_SHOWN]]
    return {
        "title": picture.title,
        "image_id": image_id,
        "src": data_uri(drawn),
        "accuracy": own.confusion.micro()["accuracy"],
        "mean_iou": own.mean_iou,
        "counts": dict(counts),
        "lines": lines,
        "more": max(0, len(own.conflicts) - CONFLICTS_SHOWN),
    }


def _said(row: Mapping[str, object]) -> str:
    match row["conflict"]:
        case "missing_annotation":
            return f"{row['reviewed_label']}: not proposed, drawn by a person"
        case "extra_annotation":
            return f"{row['proposed_label']}: proposed, deleted by a person"
        case "mismatching_label":
            return f"{row['proposed_label']}: is a {row['reviewed_label']}"
        case "low_overlap":
            return f"{row['reviewed_label']}: reshaped, IoU {row['value']:.2f}"
        case other:
            return f"{row['proposed_label'] or row['reviewed_label']}: {str(other).replace('_', ' ')}"
