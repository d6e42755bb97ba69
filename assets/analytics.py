"""``analytics/*``: the platform's tables in ClickHouse, filled from manifests, cover and reviews. Unpartitioned.

Filling again replaces: the tables keep the newest row of a key.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pyarrow as pa

from assets.common.names import POOL_CLICKHOUSE, TEAM_PLATFORM
from assets.common.policies import TRANSIENT
from assets.cover import STAGE as COVER
from labels.survey import parse_batch_key
from resources.clickhouse import ClickHouse
from resources.inbox import Inbox, ReviewStatus
from resources.tables import BatchTables

CODE_VERSION = "1"
GROUP = "analytics"
STAGES = (
    "images/raw",
    "corners/proposed",
    "corners/reviewed",
    "images/rectified",
    "lattice/proposed",
    "lattice/reviewed",
    "images/clean",
    "corals/proposed",
    "corals/reviewed",
)


@dg.asset(
    key=[GROUP, "images"],
    deps=[dg.AssetDep(dg.AssetKey(s.split("/")), partition_mapping=dg.AllPartitionMapping()) for s in STAGES],
    group_name=GROUP,
    owners=[TEAM_PLATFORM],
    kinds={"clickhouse"},
    pool=POOL_CLICKHOUSE,
    retry_policy=TRANSIENT,
    code_version=CODE_VERSION,
)
def analytics_images(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    clickhouse: dg.ResourceParam[ClickHouse],
) -> dg.MaterializeResult:
    """Every picture in every stage: outcome, reason, model, milliseconds."""
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    for stage in STAGES:
        for batch in tables.batches(stage):
            rows += [
                {
                    "batch": batch,
                    "survey": parse_batch_key(batch)[0],
                    "stage": stage,
                    "image_id": row.image_id,
                    "status": row.status,
                    "reason": row.reason or "",
                    "model": row.model or "",
                    "duration_ms": row.duration_ms or 0.0,
                    "loaded_at": now,
                }
                for row in tables.manifest(stage, batch)
            ]
    return _load(context, clickhouse, "images", rows)


@dg.asset(
    key=[GROUP, "cover"],
    deps=[dg.AssetDep(dg.AssetKey(COVER.split("/")), partition_mapping=dg.AllPartitionMapping())],
    group_name=GROUP,
    owners=[TEAM_PLATFORM],
    kinds={"clickhouse"},
    pool=POOL_CLICKHOUSE,
    retry_policy=TRANSIENT,
    code_version=CODE_VERSION,
)
def analytics_cover(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    clickhouse: dg.ResourceParam[ClickHouse],
) -> dg.MaterializeResult:
    """Cover per picture and taxon, for dashboards."""
    now = datetime.now(UTC)
    names = ("batch", "survey", "image_id", "taxon", "share", "cm2", "colonies", "inpainted_share")
    rows = [
        {
            **{name: row[name] for name in names},
            "site": row["site"] or "",
            "year": row["year"] or 0,
            "quadrat": row["quadrat"] or "",
            "loaded_at": now,
        }
        for batch in tables.batches(COVER)
        for row in tables.table(COVER, batch).to_pylist()
    ]
    return _load(context, clickhouse, "cover", rows)


@dg.asset(
    key=[GROUP, "reviews"],
    group_name=GROUP,
    owners=[TEAM_PLATFORM],
    kinds={"clickhouse"},
    pool=POOL_CLICKHOUSE,
    retry_policy=TRANSIENT,
    code_version=CODE_VERSION,
)
def analytics_reviews(
    context: dg.AssetExecutionContext,
    inbox: dg.ResourceParam[Inbox],
    clickhouse: dg.ResourceParam[ClickHouse],
) -> dg.MaterializeResult:
    """Every review: whom it waits for, since when, how far it is. Its metadata lists those that wait now."""
    now = datetime.now(UTC)
    known = inbox.reviews()
    rows = [
        {
            "batch": review.batch,
            "gate": review.gate,
            "task_id": review.task_id or 0,
            "state": review.state,
            "jobs_done": review.jobs_done,
            "jobs_total": review.jobs_total,
            "since": review.since,
            "loaded_at": now,
        }
        for review in known
    ]
    return _load(context, clickhouse, "reviews", rows, {"waiting": dg.MetadataValue.md(_waiting(known))})


def _waiting(reviews: Sequence[ReviewStatus]) -> str:
    """The open reviews as a table, the longest wait first."""
    lines = ["| batch | gate | jobs done | stage | waits for | since (UTC) |", "|---|---|---|---|---|---|"]
    for review in sorted(reviews, key=lambda r: r.since):
        if review.state == "open":
            gate = f"[{review.gate}]({review.url})" if review.url else review.gate
            who, stage = ", ".join(review.waiting_for) or "anyone", ", ".join(review.stages)
            done = f"{review.jobs_done} of {review.jobs_total}"
            lines.append(f"| {review.batch} | {gate} | {done} | {stage} | {who} | {review.since:%Y-%m-%d %H:%M} |")
    return "\n".join(lines) if len(lines) > 2 else "nothing waits for people"


def _load(
    context: dg.AssetExecutionContext,
    clickhouse: ClickHouse,
    table: str,
    rows: list[dict[str, Any]],
    more: dict[str, Any] | None = None,
) -> dg.MaterializeResult:
    with clickhouse.session({"run_id": context.run_id, "asset": f"{GROUP}/{table}"}) as session:
        session.migrate()
        if rows:
            session.insert(table, pa.Table.from_pylist(rows))
        total = session.query(f"SELECT count() AS n FROM {table} FINAL")["n"][0].as_py()  # noqa: S608 - our own names
    return dg.MaterializeResult(metadata={"dagster/row_count": int(total), "loaded": len(rows), **(more or {})})
