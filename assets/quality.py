"""``quality/report``: what reviewers changed in a batch's proposals, and whether it is fit for a release."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from analytics.quality import (
    BatchQuality,
    changes_table,
    compare_batch,
    conflicts_table,
)
from analytics.quality.detection import average_precision, cover_error, panoptic_quality
from analytics.quality.gate import reasons_against
from analytics.quality.replicas import between_annotators
from analytics.quality.rules import Broken, broken_rules
from analytics.quality.trends import by_annotator, by_model
from analytics.quality.truth import Answer, against_truth
from analytics.report import BatchReport, GatePixels, Picture, batch_report
from assets.clean import STAGE as CLEAN
from assets.common.cvat_report import cvat_report
from assets.common.metadata import thumbnail
from assets.common.names import META_MANIFEST, TEAM_SCIENCE, Gate
from assets.common.partitions import BATCHES
from assets.common.replicas import drawings
from assets.common.seen import moved_by_people, seen_by_people
from assets.common.stage import Done, Work, run_stage, shapes_by_image
from assets.common.truth import honeypots_stage, truth_stage
from assets.corals import GATE as CORALS
from assets.corners import GATE as CORNERS
from assets.lattice import GATE as LATTICE
from assets.raw import STAGE as RAW
from labels.manifest import ManifestRow, Status
from labels.schema import Shape
from labels.survey import SurveyConfig, parse_batch_key
from labels.taxonomy import load_taxonomy
from resources.cvat import CvatClient
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

STAGE = "quality/report"
CHANGES = "quality/changes"
CODE_VERSION = "4"
OVERLAY_PX = 640
TREND_BATCHES = 40


@dg.asset(
    key=STAGE.split("/"),
    deps=[dg.AssetKey(key.split("/")) for gate in (CORNERS, LATTICE, CORALS) for key in (gate.proposed, gate.reviewed)],
    partitions_def=BATCHES,
    group_name="quality",
    owners=[TEAM_SCIENCE],
    kinds={"parquet", "html"},
    code_version=CODE_VERSION,
)
def quality_report(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
    cvat: dg.ResourceParam[CvatClient],
) -> dg.MaterializeResult:
    """Proposed against reviewed: outlines added, deleted, reshaped, relabelled; corners and nodes moved, in pixels."""
    batch = context.partition_key
    survey = surveys.of_batch(batch)
    measured = write_report(tables, survey, batch, cvat)
    works = [Work(row) for row in measured.rows if row.usable]
    result = run_stage(tables, STAGE, batch, works, lambda work: Done(), code_version=CODE_VERSION)
    corals = measured.figures["corals"]
    known = {
        f"{what}_{name}": dg.MetadataValue.float(figures[name])
        for what, figures, name in (
            ("coral", corals, "precision"),
            ("coral", corals, "recall"),
            ("corner", measured.figures["corners"], "rms_px"),
            ("node", measured.figures["lattice"], "rms_px"),
        )
        if figures[name] is not None
    }
    return dg.MaterializeResult(
        metadata={
            "pictures": len(works),
            "seen_by_people": corals["pictures"],
            "seconds": dg.MetadataValue.float(round(result.seconds, 3)),
            "fit_for_release": not measured.figures["reasons"],
            **known,
            "changes": dg.MetadataValue.md(_changes(measured.figures)),
            "report": dg.MetadataValue.path(tables.store.uri(page_key(batch))),
            META_MANIFEST: dg.MetadataValue.path(result.manifest_uri),
        }
    )


@dg.asset_check(
    asset=STAGE.split("/"),
    name="fit_for_release",
    partitions_def=BATCHES,
    description="The batch reaches its survey's thresholds; one that does not enters a release only with a reason.",
)
def fit_for_release(
    context: dg.AssetCheckExecutionContext, tables: dg.ResourceParam[BatchTables]
) -> dg.AssetCheckResult:
    """Fails with the reasons that the report gives."""
    reasons = json.loads(tables.store.get(report_key(context.partition_key)))["reasons"]
    said = "\n".join(f"- {reason}" for reason in reasons) or "none"
    return dg.AssetCheckResult(
        passed=not reasons, metadata={"batch": context.partition_key, "reasons": dg.MetadataValue.md(said)}
    )


def report_key(batch: str) -> str:
    """Where the figures of a batch lie in the store."""
    return f"tables/{STAGE}/{batch}.json"


def unfit_batches(tables: BatchTables, batches: Sequence[str]) -> dict[str, list[str]]:
    """Batches below their survey's thresholds, with the reasons.

    Raises:
        MissingObjectError: the quality of a batch has not been measured.
    """
    found = {batch: json.loads(tables.store.get(report_key(batch))).get("reasons", []) for batch in batches}
    return {batch: reasons for batch, reasons in found.items() if reasons}


def page_key(batch: str) -> str:
    """Where the report for people lies in the store."""
    return f"reports/{STAGE}/{batch}.html"


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of a batch and what they were made of."""

    figures: dict[str, Any]
    outlines: BatchQuality
    broken: Sequence[Broken]
    rows: Sequence[ManifestRow]
    proposed: Sequence[Shape]
    reviewed: Sequence[Shape]


def measure(tables: BatchTables, survey: SurveyConfig, batch: str, cvat: CvatClient | None = None) -> Measured:
    """Compare what was proposed with what was reviewed, at every gate, on the pictures that people answered for.

    Where nobody looked, a proposal is what it was: that says nothing of its quality. Rules are asked of all pictures.

    Args:
        cvat: asked for its own report where there is a ground truth.
    """
    taxa = load_taxonomy(survey.taxonomy).names
    rows = tables.manifest(CORALS.reviewed, batch)
    sizes = {row.image_id: (row.width or 0, row.height or 0) for row in rows if row.usable}
    seen = {image_id: sizes[image_id] for image_id in seen_by_people(rows) if image_id in sizes}
    proposed = [shape for shape in tables.labels(CORALS.proposed, batch) if shape.image_id in sizes]
    reviewed = tables.labels(CORALS.reviewed, batch)
    before = [shape for shape in proposed if shape.image_id in seen]
    after = [shape for shape in reviewed if shape.image_id in seen]
    outlines = compare_batch(before, after, taxa, seen)
    by_picture = shapes_by_image(reviewed)
    broken = [b for image_id, size in sizes.items() for b in broken_rules(by_picture.get(image_id, []), *size)]
    failed = sum(row.status == Status.FAILED for row in rows)
    truth = against_truth(*answers_and_truth(tables, batch, rows, by_picture), taxa, sizes)
    figures: dict[str, Any] = {
        "batch": batch,
        "corals": outlines.to_json()
        | {
            "average_precision": average_precision(before, after, taxa, seen),
            "panoptic": panoptic_quality(before, after, taxa, seen),
            "cover_error": cover_error(before, after, taxa, seen),
        },
        "ground_truth": truth,
        "cvat": cvat_report(tables, batch, cvat) if truth else None,
        "broken_rules": len(broken),
        "reasons": reasons_against(survey.quality, len(rows), failed, broken, truth, bool(seen)),
    }
    figures["replicas"] = between_annotators(drawings(tables, batch, rows, by_picture), taxa, sizes)
    figures["by_model"] = by_model(outlines.changes)
    figures["by_annotator"] = by_annotator(figures, outlines.changes)
    for gate in (CORNERS, LATTICE):
        figures[gate.gate.value] = moved_by_people(tables, gate, batch)
    return Measured(figures, outlines, broken, rows, proposed, reviewed)


def answers_and_truth(
    tables: BatchTables, batch: str, rows: Sequence[ManifestRow], reviewed: Mapping[str, Sequence[Shape]]
) -> tuple[list[Answer], dict[str, list[Shape]]]:
    """What annotators drew on pictures of the ground-truth job, and what that job says; empty where there is none.

    Where the pictures were hidden as honeypots, answers are what was drawn there; otherwise the reviewed labels.
    """
    about = {row.image_id: row.extra["truth"] for row in rows if row.usable and row.extra.get("truth")}
    about = {image_id: said for image_id, said in about.items() if said["done"] and not said["disabled"]}
    if not about:
        return [], {}
    truth = shapes_by_image(tables.labels(truth_stage(Gate.CORALS), batch))
    copies = shapes_by_image(tables.labels(honeypots_stage(Gate.CORALS), batch))
    answers = []
    for image_id, said in about.items():
        for shown in said["honeypots"]:
            drawn = [shape for shape in copies.get(image_id, []) if shape.cvat_job == shown["job"]]
            answers.append(Answer(image_id, shown["job"], shown["annotator"], drawn))
        if not said["honeypots"]:
            own = reviewed.get(image_id, [])
            who = next((shape.annotator for shape in own if shape.annotator), None)
            answers.append(Answer(image_id, None, who, own))
    return answers, {image_id: truth.get(image_id, []) for image_id in about}


def write_report(tables: BatchTables, survey: SurveyConfig, batch: str, cvat: CvatClient | None = None) -> Measured:
    """Measure a batch and write its conflicts, changes, figures and the page for people."""
    measured = measure(tables, survey, batch, cvat)
    tables.write_table(STAGE, batch, conflicts_table(measured.outlines.conflicts, Gate.CORALS))
    tables.write_table(CHANGES, batch, changes_table(measured.outlines.changes))
    tables.store.put(page_key(batch), batch_report(page_of(tables, survey, batch, measured)))
    tables.store.put(report_key(batch), json.dumps(measured.figures, indent=1, sort_keys=True).encode())
    return measured


def page_of(tables: BatchTables, survey: SurveyConfig, batch: str, measured: Measured) -> BatchReport:
    """What the report for people is made of."""
    names = {row.image_id: _title(row) for row in tables.manifest(RAW, batch)}
    before, after = shapes_by_image(measured.proposed), shapes_by_image(measured.reviewed)
    clean = {row.image_id: row for row in tables.manifest(CLEAN, batch)}
    pictures = {
        row.image_id: Picture(
            _loader(tables, clean[row.image_id]),
            (row.width or 1, row.height or 1),
            names.get(row.image_id, row.image_id),
            before.get(row.image_id, []),
            after.get(row.image_id, []),
        )
        for row in measured.rows
        if row.usable
    }
    labels = {shape.shape_id: shape.label for shape in measured.reviewed}
    broken = [
        {**asdict(b), "title": names.get(b.image_id, b.image_id), "label": labels.get(b.shape_id, "")}
        for b in measured.broken
    ]
    return BatchReport(
        batch,
        survey.title,
        measured.outlines,
        measured.figures,
        [GatePixels(gate.gate.value, measured.figures[gate.gate.value]) for gate in (CORNERS, LATTICE)],
        pictures,
        {taxon.name: _rgb(taxon.color) for taxon in load_taxonomy(survey.taxonomy).taxa},
        measured.figures["reasons"],
        broken,
        {names.get(r.image_id, r.image_id): r.reason or "" for r in measured.rows if r.status == Status.FAILED},
        earlier_figures(tables, batch),
    )


def earlier_figures(tables: BatchTables, batch: str) -> dict[str, dict[str, Any]]:
    """Figures of the batches of the survey before this one, as far as they have been measured; the last ones."""
    survey, number = parse_batch_key(batch)
    before = [key for key in tables.batches(STAGE) if parse_batch_key(key)[0] == survey]
    before = [key for key in before if parse_batch_key(key)[1] < number][-TREND_BATCHES:]
    return {key: json.loads(tables.store.get(report_key(key))) for key in before}


def _loader(tables: BatchTables, row: ManifestRow) -> Callable[[], NDArray[np.uint8]]:
    return lambda: thumbnail(tables.image(row), OVERLAY_PX)


def _title(row: ManifestRow) -> str:
    known = [str(row.extra[key]) for key in ("site", "year", "quadrat") if row.extra.get(key)]
    return " ".join(known) or str(row.extra.get("file") or row.image_id)


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _changes(report: Mapping[str, Any]) -> str:
    lines = ["| gate | what people changed |", "|---|---|"]
    for gate in ("corners", "lattice"):
        figures = report[gate]
        said = "nobody was asked"
        if figures["nodes"]:
            said = (
                f"{figures['moved_share']:.1%} of {figures['nodes']} points moved, at most {figures['max_px']:.1f} px"
            )
        lines.append(f"| {gate} | {said}; {figures['drawn_anew']} drawn anew |")
    changes = ", ".join(f"{n} {what}" for what, n in sorted(report["corals"]["changes"].items())) or "nothing"
    lines.append(f"| corals | {changes} |")
    return "\n".join(lines)
