"""The two assets that every gate has, ``<gate>/review`` and ``<gate>/reviewed``, and their checks."""

from collections.abc import Callable, Iterator

import dagster as dg

from assets.common.collect import collect_review
from assets.common.gate import GateNotReadyError, GateSpec, create_review
from assets.common.metadata import stage_result
from assets.common.names import POOL_CVAT, TAG_INBOX_ID, TEAM_LABELLING
from assets.common.partitions import BATCHES
from assets.common.policies import TRANSIENT
from assets.common.stage import shapes_by_image
from labels.manifest import Status
from labels.schema import Source, label_defects
from labels.survey import SurveyConfig
from resources.cvat import CvatClient, CvatRefused
from resources.inbox import Inbox
from resources.logs import about
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

CODE_VERSION = "1"


def gate_assets(spec: GateSpec) -> list[dg.AssetsDefinition]:
    """``<gate>/review`` creates the CVAT task, ``<gate>/reviewed`` reads it back when people are done."""

    @dg.asset(
        key=spec.review.split("/"),
        deps=[dg.AssetKey(spec.proposed.split("/"))],
        partitions_def=BATCHES,
        group_name=spec.gate.value,
        owners=[TEAM_LABELLING],
        kinds={"cvat"},
        pool=POOL_CVAT,
        retry_policy=TRANSIENT,
        code_version=CODE_VERSION,
        description=f"The CVAT task of the {spec.gate} gate, with the pre-labels already inside; people work in it.",
    )
    def review(
        context: dg.AssetExecutionContext,
        tables: dg.ResourceParam[BatchTables],
        surveys: dg.ResourceParam[SurveyCatalog],
        cvat: dg.ResourceParam[CvatClient],
        inbox: dg.ResourceParam[Inbox],
    ) -> dg.MaterializeResult:
        batch = context.partition_key
        survey = surveys.of_batch(batch)
        try:
            with about(batch=batch, gate=spec.gate, run=context.run_id):
                result = create_review(spec, tables, survey, batch, cvat, inbox)
        except (GateNotReadyError, CvatRefused) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        asked = [row for row in result.rows if row.extra.get("person")]
        counts = {"to_people": len(asked), "let_through": len(result.rows) - len(asked)}
        made = stage_result(result, tables, counts, preview="")
        url = asked[0].extra["cvat_url"] if asked else None
        return (
            made
            if url is None
            else dg.MaterializeResult(metadata={**(made.metadata or {}), "cvat": dg.MetadataValue.url(url)})
        )

    @dg.asset(
        key=spec.reviewed.split("/"),
        deps=[dg.AssetKey(spec.review.split("/")), dg.AssetKey(spec.proposed.split("/"))],
        partitions_def=BATCHES,
        group_name=spec.gate.value,
        owners=[TEAM_LABELLING],
        kinds={"cvat", "parquet"},
        pool=POOL_CVAT,
        retry_policy=TRANSIENT,
        code_version=CODE_VERSION,
        # Where people are asked again, nothing is materialized and the stages after it wait.
        output_required=False,
        description=f"Labels of the {spec.gate} gate after review: who made, changed or accepted each shape.",
    )
    def reviewed(
        context: dg.AssetExecutionContext,
        tables: dg.ResourceParam[BatchTables],
        surveys: dg.ResourceParam[SurveyCatalog],
        cvat: dg.ResourceParam[CvatClient],
        inbox: dg.ResourceParam[Inbox],
    ) -> Iterator[dg.MaterializeResult]:
        batch = context.partition_key
        tag = context.run.tags.get(TAG_INBOX_ID)
        # A run from the UI answers whatever has come in by now; what comes later makes another run.
        answered = int(tag) if tag else inbox.last_id()
        survey = surveys.of_batch(batch)
        try:
            with about(batch=batch, gate=spec.gate, run=context.run_id, event=answered):
                collected = collect_review(spec, tables, survey, batch, cvat)
        except (GateNotReadyError, CvatRefused) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        result = collected.result
        if result is None:
            context.log_event(_asked_again(spec, batch, collected.asked_again))
            inbox.mark_done(batch, spec.gate, answered, context.run_id)
            return
        by = {source: sum(s.source == source for s in result.shapes) for source in Source}
        counts = {f"shapes_by_{source.value}": n for source, n in by.items()}
        counts["issues"] = sum(len(row.extra.get("issues", [])) for row in result.rows)
        yield stage_result(result, tables, counts, colors=spec.colors(survey))
        # The last act: a run that dies before it leaves its rows to the next.
        inbox.mark_done(batch, spec.gate, answered, context.run_id)

    return [review, reviewed]


def _asked_again(spec: GateSpec, batch: str, lines: tuple[str, ...]) -> dg.AssetObservation:
    listed = "\n".join(f"- {line}" for line in lines)
    return dg.AssetObservation(
        asset_key=spec.reviewed.split("/"),
        partition=batch,
        description="Jobs went back to their people in CVAT, with an issue on each picture.",
        metadata={"pictures": len(lines), "asked_again": dg.MetadataValue.md(listed)},
    )


def gate_checks(spec: GateSpec, label_names: Callable[[SurveyConfig], set[str]]) -> list[dg.AssetChecksDefinition]:
    """Checks on ``<gate>/reviewed``: the label schema holds, and no picture of the gate is without an outcome."""

    @dg.asset_check(
        asset=spec.reviewed.split("/"),
        name="label_schema",
        blocking=True,
        partitions_def=BATCHES,
        description="Every row fits the label schema and the taxonomy, and lies in its picture.",
    )
    def label_schema(
        context: dg.AssetCheckExecutionContext,
        tables: dg.ResourceParam[BatchTables],
        surveys: dg.ResourceParam[SurveyCatalog],
    ) -> dg.AssetCheckResult:
        batch = context.partition_key
        sizes = {r.image_id: (r.width or 0, r.height or 0) for r in tables.manifest(spec.reviewed, batch)}
        shapes = tables.labels(spec.reviewed, batch)
        defects = label_defects(shapes, label_names(surveys.of_batch(batch)), sizes)
        lines = "\n".join(f"- {line}" for line in defects[:50]) or "none"
        return dg.AssetCheckResult(
            passed=not defects,
            metadata={"batch": batch, "defects": len(defects), "first_defects": dg.MetadataValue.md(lines)},
        )

    @dg.asset_check(
        asset=spec.reviewed.split("/"),
        name="every_image_labelled",
        blocking=True,
        partitions_def=BATCHES,
        description="Every picture that came to this gate has reviewed labels or a recorded reason.",
    )
    def every_image_labelled(
        context: dg.AssetCheckExecutionContext, tables: dg.ResourceParam[BatchTables]
    ) -> dg.AssetCheckResult:
        batch = context.partition_key
        expected = {row.image_id for row in tables.manifest(spec.proposed, batch) if row.usable}
        rows = tables.manifest(spec.reviewed, batch)
        labelled = shapes_by_image(tables.labels(spec.reviewed, batch))
        missing = expected - {row.image_id for row in rows}
        silent = [row.image_id for row in rows if row.status == Status.FAILED and not row.reason]
        failed = sum(row.status == Status.FAILED for row in rows)
        metadata = {"batch": batch, "expected": len(expected), "with_shapes": len(labelled), "failed": failed}
        severity = dg.AssetCheckSeverity.ERROR if missing or silent else dg.AssetCheckSeverity.WARN
        return dg.AssetCheckResult(
            passed=not missing and not silent and not failed, severity=severity, metadata=metadata
        )

    return [label_schema, every_image_labelled]
