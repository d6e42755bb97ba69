"""Dagster itself: signs of life of its daemons, pools without a limit, runs that do not move."""

from __future__ import annotations

import time
from collections.abc import Iterator

import dagster as dg

from assets.common.names import POOL_CLICKHOUSE, POOL_CVAT, POOL_GPU
from orchestration.doctor.findings import Finding, Level

POOLS = (POOL_CVAT, POOL_GPU, POOL_CLICKHOUSE)
HEARTBEAT_S = 300.0
"""A daemon that has given no sign for so long is dead; it gives one every half minute."""
PATIENCE_S = {
    dg.DagsterRunStatus.QUEUED: 6 * 3600.0,
    dg.DagsterRunStatus.STARTING: 900.0,
    dg.DagsterRunStatus.STARTED: 4 * 3600.0,
    dg.DagsterRunStatus.CANCELING: 900.0,
}
"""Seconds that a run may be in a state."""


def heartbeats(instance: dg.DagsterInstance, now: float | None = None) -> dict[str, str]:
    """What is wrong with each of Dagster's daemons, empty when it has given a sign of late."""
    now = time.time() if now is None else now
    seen = instance.get_daemon_heartbeats()
    wrong = {}
    for name in instance.get_required_daemon_types():
        age = now - seen[name].timestamp if name in seen else None
        late = age is None or age > HEARTBEAT_S
        said = "has never given a sign" if age is None else f"gave its last sign {age:.0f} s ago"
        wrong[name.lower()] = said if late else ""
    return wrong


def check_daemons(instance: dg.DagsterInstance) -> Iterator[Finding]:
    """Each daemon has given a sign of late."""
    found = heartbeats(instance)
    dead = {name: said for name, said in found.items() if said}
    if dead:
        text = "; ".join(f"{name} {said}" for name, said in dead.items())
        fix = "start it ('reefline up', or the daemon's container), and look into its log"
        yield Finding("Dagster daemon", Level.FAIL, text, fix)
    else:
        yield Finding("Dagster daemon", Level.OK, f"alive: {', '.join(found)}")


def check_pools(instance: dg.DagsterInstance) -> Iterator[Finding]:
    """No pool is without a limit: that would mean any number at once, whatever the card's memory or CVAT bear."""
    default = (instance.get_settings("concurrency").get("pools") or {}).get("default_limit")
    limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    without = [name for name in POOLS if name not in limits and default is None]
    if without:
        fix = "set concurrency.pools.default_limit: 1 in dagster.yaml, or: " + "; ".join(
            f"dagster instance concurrency set {name} 1" for name in without
        )
        yield Finding("pools", Level.FAIL, f"no limit for {', '.join(without)}", fix)
    else:
        shown = ", ".join(f"{name} {limits.get(name, default)}" for name in POOLS)
        yield Finding("pools", Level.OK, shown)


def check_runs(instance: dg.DagsterInstance) -> Iterator[Finding]:
    """No run has been in one state for too long."""
    now, moving, stuck = time.time(), 0, 0
    for status, patience in PATIENCE_S.items():
        for record in instance.get_run_records(dg.RunsFilter(statuses=[status])):
            since = record.start_time if status == dg.DagsterRunStatus.STARTED and record.start_time else None
            age = now - (since or record.update_timestamp.timestamp())
            if age < patience:
                moving += 1
                continue
            stuck += 1
            run = record.dagster_run
            text = f"run {run.run_id[:8]} ({run.job_name}) has been {status.value.lower()} for {age / 3600:.1f} h"
            fix = f"look at it in the UI (/runs/{run.run_id}); terminate it there, it is tried again"
            yield Finding("runs", Level.WARN, text, fix)
    if not stuck:
        yield Finding("runs", Level.OK, f"{moving} on their way, none stuck")
