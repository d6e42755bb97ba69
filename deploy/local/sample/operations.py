"""What happens in the machine room: runs, steps, the inbox, loads of events, signs of life."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

from deploy.local.sample.plan import DONE, PICTURES, Batch, Review
from deploy.local.sample.tables import MILLISECONDS, STAGES

Rows = list[dict[str, Any]]
UNLUCKY = "moorea-2026.0004"
SERVICES = ("dagster sensors", "dagster schedules", "dagster run queue", "webhook receiver", "event sink")


def operations(batches: list[Batch], now: datetime, events: Rows) -> dict[str, Rows]:
    """Rows by table."""
    random = Random(13)  # noqa: S311
    made: dict[str, Rows] = {"runs": [], "steps": [], "deliveries": []}
    for batch in batches:
        for place, review in enumerate(batch.reviews):
            _runs(random, review, place, now, made)
            _deliveries(random, review, now, made["deliveries"])
    made["heartbeats"] = list(_heartbeats(now))
    made["event_loads"], made["event_rejects"] = _loads(events, now)
    return made


def _runs(random: Random, review: Review, place: int, now: datetime, made: dict[str, Rows]) -> None:
    """The run that leads to the gate; now and then a first try fails."""
    tries = 2 if random.random() < 0.07 or review.batch == UNLUCKY else 1
    for number in range(tries):
        fails = number + 1 < tries
        queued = review.asked_at - timedelta(minutes=25 - 12 * number)
        at = started = queued + timedelta(seconds=random.lognormvariate(2.2, 0.8))
        run_id = f"{review.task_id:08x}-0000-4000-8000-{number:012x}"
        common = {"run_id": run_id, "batch": review.batch, "survey": review.survey, "loaded_at": now}
        for stage in STAGES[review.gate][:2]:
            seconds = PICTURES * MILLISECONDS[stage] / 1000 * random.lognormvariate(0, 0.2)
            status = "FAILURE" if fails and stage.endswith("proposed") else "SUCCESS"
            made["steps"].append({**common, "step": stage.replace("/", "__"), "stage": stage, "status": status,
                                  "started_at": at, "ended_at": at + timedelta(seconds=seconds), "attempts": 1,
                                  "gpu": int(stage.endswith("proposed"))})  # fmt: skip
            at += timedelta(seconds=seconds + 1)
        made["runs"].append({
            **common, "job": ("from_raw", "from_corners", "from_lattice")[place], "gate": review.gate,
            "status": "FAILURE" if fails else "SUCCESS", "queued_at": queued, "started_at": started, "ended_at": at,
            "inbox_id": 0, "error": "CVAT does not answer: connection refused" if fails else "",
        })  # fmt: skip


def _deliveries(random: Random, review: Review, now: datetime, rows: Rows) -> None:
    """Four jobs change state; a webhook in twelve gets lost and is found by the reconciliation."""
    moments = [(day, "in progress") for day in review.work_days[:1]]
    if review.collected_at:
        moments += [(review.collected_at - timedelta(minutes=9 - job), "completed") for job in range(4)]
    for happened, _ in moments:
        lost = random.random() < 0.08
        delay = random.uniform(240, 1500) if lost else random.lognormvariate(-0.8, 0.7)
        if not lost and random.random() < 0.03:
            delay = random.uniform(70, 400)
        received = happened + timedelta(seconds=delay)
        dead = random.random() < 0.01
        rows.append({
            "id": len(rows) + 1, "received_at": received, "source": "reconcile" if lost else "webhook",
            "event": "update:job", "task_id": review.task_id, "job_id": review.job_id,
            "state": "dead" if dead else "done", "reason": "the task has been deleted in CVAT" if dead else "",
            "happened_at": happened, "processed_at": received + timedelta(seconds=random.uniform(4, 45)),
            "run_id": "", "replays": 0, "loaded_at": now,
        })  # fmt: skip
    if review.state != DONE and not review.work_days:
        rows.append({"id": len(rows) + 1, "received_at": now - timedelta(hours=30), "source": "webhook",
                     "event": "create:issue", "task_id": review.task_id, "job_id": None, "state": "dead",
                     "reason": "no survey asks for this event", "happened_at": now - timedelta(hours=30),
                     "processed_at": None, "run_id": "", "replays": 1, "loaded_at": now})  # fmt: skip


def _heartbeats(now: datetime) -> Rows:
    rows: Rows = []
    for half_hours in range(96):
        at = now - timedelta(minutes=30 * half_hours)
        for number, service in enumerate(SERVICES):
            rows.append({"at": at, "service": service, "healthy": 1,
                         "beat_at": at - timedelta(seconds=7 * number + 3), "said": ""})  # fmt: skip
    return rows


def _loads(events: Rows, now: datetime) -> tuple[Rows, Rows]:
    """One load a day by the sink, one a week by the export, which brings little that is new."""
    by_day: dict[datetime, Rows] = {}
    for row in events:
        by_day.setdefault(row["timestamp"].replace(hour=21, minute=0, second=0, microsecond=0), []).append(row)
    loads: Rows = []
    rejects: Rows = []
    for number, (day, rows) in enumerate(sorted(by_day.items())):
        at = min(day, now)
        ways = [("sink", len(rows) // 50, 0)] + ([("export", max(0, len(rows) - 3), 1)] if number % 7 == 6 else [])
        for way, duplicates, rejected in ways:
            inserted = 3 if way == "export" else len(rows)
            loads.append({"load_id": f"{way}-{number:04d}", "way": way, "source": f"{way}-{at:%Y%m%d}",
                          "started_at": at, "seconds": 1.4, "received": inserted + duplicates + rejected,
                          "rejected": rejected, "forgotten": 0, "duplicates": duplicates, "inserted": inserted,
                          "first_event": rows[0]["timestamp"], "last_event": rows[-1]["timestamp"],
                          "run_id": ""})  # fmt: skip
            if rejected:
                rejects.append({"at": at, "way": way, "source": f"{way}-{at:%Y%m%d}", "place": len(rows),
                                "reason": "cut off within a row", "line": "change:frame,,,,client,"})  # fmt: skip
    return loads, rejects
