"""From an event to a run: noise starts none, a completion starts one soon."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from assets.common.names import TAG_BATCH, Gate
from bench.deliveries import START, Sender, cvat_date, update_job
from bench.receiver_process import running_receiver
from deploy.local.runtime import Embedded, prepare
from deploy.local.services import services
from deploy.local.supervisor import Supervisor
from orchestration.jobs import AFTER
from resources.inbox import Inbox, JobState
from sensors.receiver.signature import HEADER, sign
from sensors.reviews import reviews_sensor

NOISE = 10_000
TASKS = 100
EVENTS = 6
PATIENCE_S = 90.0


def rows() -> list[dict[str, Any]]:
    """One dict a figure."""
    return [noise_row(), event_row()]


# Noise


def noise(number: int) -> dict[str, Any]:
    """An autosave: the payload shows a state, half of them a tempting one, and says that only the date has changed."""
    when = START + timedelta(seconds=1 + number)
    before = {"updated_date": cvat_date(when - timedelta(seconds=1))}
    task = number % TASKS + 1
    return update_job(task, task, "completed" if number % 2 else "in progress", when, before)


def completion(task: int) -> dict[str, Any]:
    """The event that finishes a task's only job."""
    now = datetime.now(UTC)
    before = {"updated_date": cvat_date(now - timedelta(seconds=9)), "state": "in progress"}
    return update_job(task, task, "completed", now, before)


def register(inbox: Inbox, tasks: int) -> None:
    """Reviews of one job each, which people are at."""
    for task in range(1, tasks + 1):
        job = JobState(task, task, "annotation", "in progress", "annotation", None, START)
        inbox.register_review(batch_of(task), Gate.CORALS, task, f"https://cvat.example.org/tasks/{task}", [job])


def batch_of(task: int) -> str:
    """The batch that a task is the review of."""
    return f"reef.{task:04d}"


def noise_row() -> dict[str, Any]:
    """Run requests that 10,000 autosaves lead to, and one that a true completion leads to afterwards."""
    with tempfile.TemporaryDirectory(prefix="reefline-bench-") as name:
        inbox = Inbox(f"sqlite:///{Path(name) / 'inbox.db'}")
        register(inbox, TASKS)
        with running_receiver(inbox.url, Path(name)) as receiver:
            sender = Sender(receiver.port, receiver.secret, rate=2000, seconds=NOISE / 2000, make=noise)
            asyncio.run(sender.send_all())
            taken = sum(status == 200 for status in sender.answered.values())
            started = _requests(inbox)
            _post(receiver.url, receiver.secret, completion(7))
            control = _requests(inbox)
    note = (
        f"{taken} of {NOISE} update:job events whose before_update is only updated_date (half show state completed) "
        f"through the receiver process, then the reviews sensor until nothing is new; asked: 0. Control: one true "
        f"completion afterwards starts {control}"
    )
    return {"name": "noise.runs_started", "value": started, "unit": "runs", "note": note}


def _requests(inbox: Inbox) -> int:
    """Run requests of the sensor, evaluated as Dagster does, until the inbox has no new rows."""
    asked = 0
    while True:
        with dg.build_sensor_context(resources={"inbox": inbox}) as context:
            result = reviews_sensor(AFTER, 15)(context)
        asked += len(result.run_requests or []) if isinstance(result, dg.SensorResult) else 0
        if not any(state == "new" for _, state in inbox.counts()):
            return asked


def _post(url: str, secret: str, event: dict[str, Any]) -> None:
    body = json.dumps(event).encode()
    headers = {"Content-Type": "application/json", HEADER: sign(secret, body)}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/cvat/webhook", body, headers), timeout=10):
        return


# From an event to a run


def event_row() -> dict[str, Any]:
    """Time from a completing event at the receiver to the start of its run, by a real daemon."""
    with tempfile.TemporaryDirectory(prefix="reefline-bench-") as name:
        home = Path(name)
        (home / "surveys").mkdir()
        # No CVAT listens there, and none is needed: a run has started before it asks for its survey, and fails.
        installation = prepare(home / "home", home / "surveys", {"REEFLINE_CVAT_URL": "http://127.0.0.1:9"})
        inbox, interval = Inbox(installation.settings.inbox), installation.settings.sensor_interval_s
        register(inbox, EVENTS)
        with (
            Supervisor(installation.home) as supervisor,
            dg.DagsterInstance.from_config(str(installation.home / "dagster")) as instance,
        ):
            instance.add_dynamic_partitions("batch", [batch_of(task) for task in range(1, EVENTS + 1)])
            for service in services(installation, web=False):
                supervisor.start(service)
                supervisor.wait_ready(service.name)
            _wait_first_tick(instance)
            times = _time_events(installation, instance)
    waits, launches = [made for made, _ in times], [begun - made for made, begun in times]
    totals = sorted(begun for _, begun in times)
    note = (
        f"{len(times)} events at random phases, dagster-daemon with the default sensor interval of {interval} s, "
        f"SQLite; from the delivery to RUN_START; max {totals[-1]:.1f} s; p50 of its parts: until the run is queued "
        f"{statistics.median(waits):.1f} s, until its process has started {statistics.median(launches):.1f} s"
    )
    value = round(statistics.median(totals), 1)
    return {"name": "event_to_run.p50_s", "value": value, "unit": "s", "note": note}


def _wait_first_tick(instance: dg.DagsterInstance) -> None:
    """Wait until the daemon has looked once, so that starting it is not measured."""
    deadline = time.monotonic() + PATIENCE_S
    while not any(state.instigator_name == "reviews" for state in instance.all_instigator_state()):
        if time.monotonic() > deadline:
            raise TimeoutError("the daemon did not look at its sensors")
        time.sleep(0.5)


def _time_events(installation: Embedded, instance: dg.DagsterInstance) -> list[tuple[float, float]]:
    """Seconds until the run is created and until it starts, for each event."""
    chance = random.Random(1)
    secret = installation.env["REEFLINE_WEBHOOK_SECRET"]
    found = []
    for task in range(1, EVENTS + 1):
        time.sleep(chance.uniform(0, installation.settings.sensor_interval_s))
        sent = time.time()
        _post(installation.env["REEFLINE_RECEIVER_URL"], secret, completion(task))
        record = _started_run(instance, batch_of(task))
        found.append((record.create_timestamp.timestamp() - sent, float(record.start_time or 0) - sent))
    return found


def _started_run(instance: dg.DagsterInstance, batch: str) -> dg.RunRecord:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        records = instance.get_run_records(dg.RunsFilter(tags={TAG_BATCH: batch}))
        if records and records[-1].start_time:
            return records[-1]
        time.sleep(0.2)
    raise TimeoutError(f"no run of {batch} started")


if __name__ == "__main__":
    json.dump(rows(), sys.stdout, indent=2)
    sys.stdout.write("\n")
