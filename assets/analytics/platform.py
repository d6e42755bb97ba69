"""Tables of how the platform runs: deliveries in the inbox, runs and their steps, signs of life, model versions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from assets.analytics.common import DECORATION, GROUP, insert_rows, open_table, result
from assets.common.names import TAG_BATCH, TAG_GATE, TAG_INBOX_ID
from labels.survey import SurveyError, parse_batch_key
from resources.clickhouse import ClickHouse
from resources.inbox import Inbox
from resources.inbox.history import deliveries_after
from resources.models import InstalledModels

PAGE = 500
GPU_STAGES = ("images/clean", "corals/proposed", "models/candidate", "models/evaluation")
"""Stages whose steps hold a slot of the pool 'gpu', whatever the device."""
UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING", "MANAGED")


@dg.asset(key=[GROUP, "deliveries"], **DECORATION)
def analytics_deliveries(
    context: dg.AssetExecutionContext,
    inbox: dg.ResourceParam[Inbox],
    clickhouse: dg.ResourceParam[ClickHouse],
) -> dg.MaterializeResult:
    """Every event in the inbox: by webhook or healed, when it happened, came in and was answered."""
    now = datetime.now(UTC)
    with open_table(context, clickhouse, "deliveries") as session:
        # Rows change until they are done: from the oldest that was not, all are read again.
        after = session.value(
            "SELECT ifNull(minOrNull(if(state IN ('new', 'pending', 'dead'), id - 1, NULL)), max(id)) "
            "FROM deliveries FINAL"
        )
        loaded = 0
        for page in deliveries_after(inbox, int(after or 0)):
            loaded += insert_rows(session, "deliveries", [{**row, "loaded_at": now} for row in page])
        return result(session, "deliveries", loaded)


@dg.asset(key=[GROUP, "runs"], **DECORATION)
def analytics_runs(context: dg.AssetExecutionContext, clickhouse: dg.ResourceParam[ClickHouse]) -> dg.MaterializeResult:
    """Runs and their steps: how long they waited and took, how they ended; and which daemons are alive."""
    with open_table(context, clickhouse, "runs") as session:
        last = session.value("SELECT maxOrNull(loaded_at) FROM runs FINAL")
        open_runs = session.query(
            "SELECT run_id FROM runs FINAL WHERE status IN {unfinished:Array(String)}", {"unfinished": list(UNFINISHED)}
        )["run_id"].to_pylist()
        since = last - timedelta(minutes=10) if last else None
        loaded = 0
        cursor: str | None = None
        while True:
            records = context.instance.get_run_records(dg.RunsFilter(updated_after=since), limit=PAGE, cursor=cursor)
            loaded += _load_runs(context.instance, session, records)
            if len(records) < PAGE:
                break
            cursor = records[-1].dagster_run.run_id
        if open_runs:
            _load_runs(context.instance, session, context.instance.get_run_records(dg.RunsFilter(run_ids=open_runs)))
        insert_rows(session, "heartbeats", _heartbeats(context.instance))
        return result(session, "runs", loaded)


def _load_runs(instance: dg.DagsterInstance, session: Any, records: Any) -> int:
    now = datetime.now(UTC)
    steps = [row for record in records for row in _steps(instance, record, now)]
    insert_rows(session, "steps", steps)
    return insert_rows(session, "runs", [_run(record, now) for record in records])


def _run(record: Any, now: datetime) -> dict[str, Any]:
    run = record.dagster_run
    batch = _batch(run.tags)
    answered = run.tags.get(TAG_INBOX_ID, "")
    return {
        "run_id": run.run_id,
        "job": run.job_name,
        "batch": batch,
        "survey": _survey(batch),
        "gate": run.tags.get(TAG_GATE, ""),
        "status": run.status.value,
        "queued_at": record.create_timestamp.astimezone(UTC),
        "started_at": _moment(record.start_time),
        "ended_at": _moment(record.end_time),
        "inbox_id": int(answered) if answered.isdigit() else 0,
        "error": run.tags.get("dagster/failure_reason", ""),
        "loaded_at": now,
    }


def _steps(instance: dg.DagsterInstance, record: Any, now: datetime) -> list[dict[str, Any]]:
    run = record.dagster_run
    batch = _batch(run.tags)
    rows = []
    for step in instance.get_run_step_stats(run.run_id):
        # 'corals__proposed.corals_proposed_share[2]' is a share of the stage corals/proposed.
        stage = step.step_key.partition(".")[0].replace("__", "/", 1)
        rows.append(
            {
                "run_id": run.run_id,
                "step": step.step_key,
                "stage": stage if "/" in stage else "",
                "batch": batch,
                "survey": _survey(batch),
                "status": step.status.value if step.status else "",
                "started_at": _moment(step.start_time),
                "ended_at": _moment(step.end_time),
                "attempts": step.attempts or 0,
                "gpu": int(stage in GPU_STAGES),
                "loaded_at": now,
            }
        )
    return rows


def _heartbeats(instance: dg.DagsterInstance) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [
        {
            "at": now,
            "service": f"dagster {name.lower().replace('_', ' ')}",
            "healthy": int(bool(status.healthy)),
            "beat_at": _moment(status.last_heartbeat.timestamp) if status.last_heartbeat else None,
            "said": "; ".join(str(e.message) for e in (status.last_heartbeat.errors or []))[:500]
            if status.last_heartbeat
            else "no heartbeat yet",
        }
        for name, status in instance.get_daemon_statuses().items()
        if status.required
    ]


def _batch(tags: Any) -> str:
    return str(tags.get(TAG_BATCH) or tags.get("dagster/partition") or "")


def _survey(batch: str) -> str:
    """Releases are partitions, too: they have no survey."""
    try:
        return parse_batch_key(batch)[0] if batch else ""
    except SurveyError:
        return ""


def _moment(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


@dg.asset(key=[GROUP, "models"], **DECORATION)
def analytics_models(
    context: dg.AssetExecutionContext,
    models: dg.ResourceParam[InstalledModels],
    clickhouse: dg.ResourceParam[ClickHouse],
) -> dg.MaterializeResult:
    """Versions in the model registry: which is promoted, and their held-out figures."""
    now = datetime.now(UTC)
    rows = [
        {
            "name": card.name,
            "version": str(card.version),
            "reference": card.reference,
            "task": card.task,
            "promoted": int(models.promoted(card.name) in (card.version, card.versioned)),
            "metrics": [(name, float(value)) for name, value in card.metrics.items()],
            "trained_on": card.trained_on,
            "loaded_at": now,
        }
        for card in models.cards()
    ]
    with open_table(context, clickhouse, "models") as session:
        return result(session, "models", insert_rows(session, "models", rows))
