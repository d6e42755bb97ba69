"""``quality/report``: what reviewers changed in the proposals of a batch, at every gate."""

import json
from typing import Any

import dagster as dg
import pyarrow as pa

from analytics.quality import CONFLICT_SCHEMA, compare_batch, compare_skeletons, conflicts_table
from assets.common.names import META_MANIFEST, TEAM_SCIENCE, Gate
from assets.common.partitions import BATCHES
from assets.common.stage import Done, Work, run_stage
from assets.corals import GATE as CORALS
from assets.corners import GATE as CORNERS
from assets.lattice import GATE as LATTICE
from labels.survey import SurveyConfig
from labels.taxonomy import load_taxonomy
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

STAGE = "quality/report"
CODE_VERSION = "1"


@dg.asset(
    key=STAGE.split("/"),
    deps=[dg.AssetKey(key.split("/")) for gate in (CORNERS, LATTICE, CORALS) for key in (gate.proposed, gate.reviewed)],
    partitions_def=BATCHES,
    group_name="quality",
    owners=[TEAM_SCIENCE],
    kinds={"parquet"},
    code_version=CODE_VERSION,
)
def quality_report(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
) -> dg.MaterializeResult:
    """Proposed against reviewed: outlines added, deleted, reshaped, relabelled; corners and nodes moved, in pixels."""
    batch = context.partition_key
    report = measure(tables, surveys.of_batch(batch), batch)
    corals = report["corals"]
    uri = tables.write_table(STAGE, batch, report.pop("conflicts"))
    tables.store.put(report_key(batch), json.dumps(report, indent=1, sort_keys=True).encode())
    works = [Work(row) for row in tables.manifest(CORALS.reviewed, batch) if row.usable]
    result = run_stage(tables, STAGE, batch, works, lambda work: Done(), code_version=CODE_VERSION)
    return dg.MaterializeResult(
        metadata={
            "pictures": len(works),
            "seconds": dg.MetadataValue.float(round(result.seconds, 3)),
            "coral_precision": dg.MetadataValue.float(corals["precision"]),
            "coral_recall": dg.MetadataValue.float(corals["recall"]),
            "corner_rms_px": dg.MetadataValue.float(report["corners"]["rms_px"]),
            "node_rms_px": dg.MetadataValue.float(report["lattice"]["rms_px"]),
            "changes": dg.MetadataValue.md(_changes(report)),
            "conflicts": dg.MetadataValue.path(uri),
            META_MANIFEST: dg.MetadataValue.path(result.manifest_uri),
        }
    )


def report_key(batch: str) -> str:
    """Where the figures of a batch lie in the store."""
    return f"tables/{STAGE}/{batch}.json"


def measure(tables: BatchTables, survey: SurveyConfig, batch: str) -> dict[str, Any]:
    """Figures of a batch by gate, and the table of conflicts under ``conflicts``."""
    taxa = load_taxonomy(survey.taxonomy).names
    usable = [row for row in tables.manifest(CORALS.reviewed, batch) if row.usable]
    sizes = {row.image_id: (row.width or 0, row.height or 0) for row in usable}
    proposed = [shape for shape in tables.labels(CORALS.proposed, batch) if shape.image_id in sizes]
    outlines = compare_batch(proposed, tables.labels(CORALS.reviewed, batch), taxa, sizes)
    report: dict[str, Any] = {"batch": batch, "corals": outlines.to_json()}
    for gate in (CORNERS, LATTICE):
        report[gate.gate.value] = compare_skeletons(
            tables.labels(gate.proposed, batch), tables.labels(gate.reviewed, batch)
        )
    conflicts = conflicts_table(outlines.conflicts, Gate.CORALS)
    report["conflicts"] = conflicts if conflicts.num_rows else pa.Table.from_pylist([], schema=CONFLICT_SCHEMA)
    return report


def _changes(report: dict[str, Any]) -> str:
    lines = ["| gate | what people changed |", "|---|---|"]
    for gate in ("corners", "lattice"):
        figures = report[gate]
        said = f"{figures['moved_share']:.1%} of {figures['nodes']} points moved, at most {figures['max_px']:.1f} px"
        lines.append(f"| {gate} | {said}; {figures['drawn_anew']} drawn anew |")
    changes = ", ".join(f"{n} {what}" for what, n in sorted(report["corals"]["changes"].items())) or "nothing"
    lines.append(f"| corals | {changes} |")
    return "\n".join(lines)
