"""Checks of the analytics tables: they hold what they should, and no event is unaccounted for.

That they are fresh is the assets' own policy.
"""

from collections.abc import Iterator

import dagster as dg

from assets.analytics.common import GROUP
from assets.analytics.stages import STAGES
from assets.cover import STAGE as COVER
from assets.quality import STAGE as QUALITY
from resources.clickhouse import ClickHouse
from resources.events import compare_worktime
from resources.inbox import Inbox
from resources.tables import BatchTables


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec("every_batch_is_there", asset=[GROUP, "images"]),
        dg.AssetCheckSpec("every_batch_is_there", asset=[GROUP, "cover"]),
        dg.AssetCheckSpec("every_batch_is_there", asset=[GROUP, "quality"]),
        dg.AssetCheckSpec("every_delivery_is_there", asset=[GROUP, "deliveries"]),
    ],
    can_subset=True,
)
def row_count_checks(
    context: dg.AssetCheckExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    inbox: dg.ResourceParam[Inbox],
    clickhouse: dg.ResourceParam[ClickHouse],
) -> Iterator[dg.AssetCheckResult]:
    """The tables hold as many batches, pictures and deliveries as the object store and the inbox."""
    expected = {
        ("images", "every_batch_is_there"): lambda: sum(len(tables.batches(stage)) for stage in STAGES),
        ("cover", "every_batch_is_there"): lambda: len(tables.batches(COVER)),
        ("quality", "every_batch_is_there"): lambda: len(tables.batches(QUALITY)),
        ("deliveries", "every_delivery_is_there"): lambda: sum(inbox.counts().values()),
    }
    found = {
        "images": "SELECT uniqExact(stage, batch) FROM images",
        "cover": "SELECT uniqExact(batch) FROM cover",
        "quality": "SELECT uniqExact(batch) FROM quality",
        "deliveries": "SELECT uniqExact(id) FROM deliveries",
    }
    with clickhouse.session({"run_id": context.run.run_id, "check": "row_count"}) as session, session.explained():
        session.migrate()
        for key in context.selected_asset_check_keys:
            table = key.asset_key.path[-1]
            wanted, there = expected[table, key.name](), int(session.value(found[table]) or 0)
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=there >= wanted,
                # Between loading and checking a batch may have been finished: the next load brings it.
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"expected": wanted, "in_clickhouse": there},
            )


@dg.asset_check(asset=[GROUP, "events"], description="received = inserted + duplicates + rejected + forgotten.")
def events_accounted_for(
    context: dg.AssetCheckExecutionContext, clickhouse: dg.ResourceParam[ClickHouse]
) -> dg.AssetCheckResult:
    """Fails when an event got lost between what came in and what is there; warns of rejected lines."""
    tag = {"run_id": context.run.run_id, "check": "events_accounted_for"}
    with clickhouse.session(tag) as session, session.explained():
        session.migrate()
        totals = session.query(
            "SELECT sum(received) AS received, sum(inserted) AS inserted, sum(rejected) AS rejected, "
            "sum(unaccounted) AS unaccounted FROM event_intake"
        ).to_pylist()[0]
    lost = int(totals["unaccounted"])
    return dg.AssetCheckResult(
        passed=lost == 0 and not totals["rejected"],
        severity=dg.AssetCheckSeverity.ERROR if lost else dg.AssetCheckSeverity.WARN,
        metadata={name: int(value) for name, value in totals.items()},
    )


@dg.asset_check(asset=[GROUP, "worktime"], description="Month by month the same as CVAT's algorithm over all events.")
def worktime_is_cvats(
    context: dg.AssetCheckExecutionContext, clickhouse: dg.ResourceParam[ClickHouse]
) -> dg.AssetCheckResult:
    """Fails when the table, which is computed in pieces, holds other sums than CVAT's algorithm over whole series."""
    with clickhouse.session({"run_id": context.run.run_id, "check": "worktime_is_cvats"}) as session:
        session.migrate()
        found = compare_worktime(session)
    return dg.AssetCheckResult(
        passed=not found.rows,
        severity=dg.AssetCheckSeverity.ERROR,
        description="'reefline analytics load --everything' computes the table anew" if found.rows else None,
        metadata={"months": dg.MetadataValue.json(found.months), "differences": dg.MetadataValue.json(found.rows)},
    )
