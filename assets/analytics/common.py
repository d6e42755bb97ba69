"""What the analytics assets share: their settings in Dagster, opening the database, loading a table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import dagster as dg
import pyarrow as pa

from analytics.contact_sheet import markdown_image
from analytics.questions import question
from analytics.table_plots import PLOTS
from assets.common.names import META_PREVIEW, POOL_CLICKHOUSE, TEAM_PLATFORM
from assets.common.policies import TRANSIENT
from resources.answers import ask
from resources.clickhouse import ClickHouse, Session

GROUP: Final = "analytics"
CODE_VERSION: Final = "2"
PARTITION_TAG: Final = "dagster/partition"
LOOK_BACK: Final = timedelta(minutes=30)
"""A run may have written its tables some time before it ended."""

DECORATION: Final[dict[str, Any]] = {
    "group_name": GROUP,
    "owners": [TEAM_PLATFORM],
    "kinds": {"clickhouse"},
    "pool": POOL_CLICKHOUSE,
    "retry_policy": TRANSIENT,
    "code_version": CODE_VERSION,
    # The schedule fills them every 15 minutes: an hour of maintenance is no news, a morning is.
    "freshness_policy": dg.FreshnessPolicy.time_window(timedelta(hours=6), timedelta(hours=1)),
}


def all_of(*stages: str) -> list[dg.AssetDep]:
    """All partitions of these stages."""
    return [dg.AssetDep(dg.AssetKey(s.split("/")), partition_mapping=dg.AllPartitionMapping()) for s in stages]


@contextmanager
def open_table(context: dg.AssetExecutionContext, clickhouse: ClickHouse, asset: str) -> Iterator[Session]:
    """The database, its tables up to date. Every query carries run and asset in ``log_comment``."""
    with clickhouse.session({"run_id": context.run_id, "asset": f"{GROUP}/{asset}"}) as session:
        with session.explained():
            session.migrate()
        yield session


def insert_rows(session: Session, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Append rows; the columns take their types from the table."""
    if not rows:
        return 0
    with session.explained():
        columns = ", ".join(rows[0])
        there = session.query(f"SELECT {columns} FROM {table} LIMIT 0").schema  # noqa: S608 - our own names
        plain = [pa.field(f.name, getattr(f.type, "value_type", f.type) if _coded(f) else f.type) for f in there]
        return session.insert(table, pa.Table.from_pylist(list(rows), schema=pa.schema(plain)))


def _coded(field: pa.Field) -> bool:
    """LowCardinality comes as a dictionary; rows are plain."""
    return pa.types.is_dictionary(field.type)


def result(session: Session, table: str, loaded: int, more: Mapping[str, Any] | None = None) -> dg.MaterializeResult:
    """Rows in the table and rows loaded now."""
    total = session.value(f"SELECT count() FROM {table} FINAL")  # noqa: S608 - our own names
    picture = {} if META_PREVIEW in (more or {}) else preview(session, table)
    return dg.MaterializeResult(metadata={"dagster/row_count": int(total), "loaded": loaded, **picture, **(more or {})})


def preview(session: Session, table: str) -> dict[str, dg.MarkdownMetadataValue]:
    """The picture of a table for the asset's page; nothing for a table without one, or without an answer yet."""
    if table not in PLOTS:
        return {}
    name, plot = PLOTS[table]
    with session.explained():
        rows = ask(session, name)
    if not rows:
        return {}
    image = markdown_image(plot(rows), "image/png", question(name).title)
    return {META_PREVIEW: dg.MetadataValue.md(image)}


def due_batches(
    context: dg.AssetExecutionContext, session: Session, table: str, there: Collection[str], where: str = "1"
) -> list[str]:
    """Batches to be loaded: those the table lacks, and those a run has touched since it was loaded last.

    Args:
        context: of the asset; its instance knows the runs.
        session: of the database.
        table: with the columns ``batch`` and ``loaded_at``.
        there: batches that could be loaded.
        where: which rows of the table are meant.
    """
    known = session.query(
        f"SELECT batch, max(loaded_at) AS at FROM {table} WHERE {where} GROUP BY batch"  # noqa: S608 - our own names
    ).to_pylist()
    at = {row["batch"]: row["at"] for row in known}
    missing = [batch for batch in there if batch not in at]
    if not at:
        return sorted(missing)
    since = max(at.values()) - LOOK_BACK
    records = context.instance.get_run_records(dg.RunsFilter(updated_after=since))
    touched = {record.dagster_run.tags.get(PARTITION_TAG) for record in records}
    return sorted({*missing, *(batch for batch in there if batch in touched)})


def load_batches(
    context: dg.AssetExecutionContext,
    session: Session,
    table: str,
    batches: Sequence[str],
    rows_of: Callable[[str], Sequence[Mapping[str, Any]]],
) -> int:
    """Load batch by batch, so that memory holds one; how many rows."""
    loaded = 0
    for batch in batches:
        loaded += insert_rows(session, table, rows_of(batch))
    context.log.info("%s: %d batches, %d rows", table, len(batches), loaded)
    return loaded
