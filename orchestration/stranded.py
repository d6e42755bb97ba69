"""Runs whose process is gone: killed with the code server, or ended while the database was away.

Dagster's launcher for one machine does not look after its runs, so such a run would be "started" until its time limit,
for hours, and hold its slots of the pools. Here it is reported as failed, and ``run_retries`` starts it again.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import dagster as dg
import psutil

STARTED = re.compile(r"Started process for run \(pid: (\d+)\)")
"""Dagster's own event as a run's process begins."""
SOON_S = 300.0
"""A process begins at most so long before it says so, on a busy machine."""
ALIVE = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


def end_stranded(instance: dg.DagsterInstance, lives: Callable[[int, float], bool] | None = None) -> list[str]:
    """Report runs without a process as failed; their ids.

    Args:
        instance: whose runs are processes of this machine.
        lives: whether a process lives, by its id and the time when it said that it had begun (tests).
    """
    lives = lives or process_lives
    ended = []
    for run in instance.get_runs(dg.RunsFilter(statuses=list(ALIVE))):
        begun = _begun(instance, run.run_id)
        if begun is None or lives(*begun):
            continue
        # It may have ended in the moment between the two looks.
        now = instance.get_run_by_id(run.run_id)
        if now is None or now.status not in ALIVE:
            continue
        if now.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(now)
        else:
            instance.report_run_failed(now, f"its process {begun[0]} is gone (killed, or out of memory)")
        ended.append(run.run_id)
    return ended


def _begun(instance: dg.DagsterInstance, run_id: str) -> tuple[int, float] | None:
    """Process id of a run, and when it said so."""
    found = None
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        match = STARTED.search(entry.user_message or "") or STARTED.search(entry.message or "")
        if match:
            found = (int(match[1]), entry.timestamp)
    return found


def process_lives(pid: int, said_at: float) -> bool:
    """Whether the process that said something at a time (seconds since 1970) lives: not another with its number."""
    try:
        process = psutil.Process(pid)
        created = process.create_time()
        dead = process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    return not dead and said_at - SOON_S < created <= said_at + 1
