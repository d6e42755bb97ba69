"""The inbox on a real Postgres (a throwaway cluster on loopback), with several connections at once."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.inbox import Delivery, Inbox, JobState

START = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)


def job(number, state, minute, task=7):
    return JobState(number, task, "annotation", state, "annotation", None, START + timedelta(minutes=minute))


def told(number, state, minute, task=7):
    date = (START + timedelta(minutes=minute)).isoformat()
    body = {"id": number, "task_id": task, "type": "annotation", "state": state, "stage": "annotation"}
    body |= {"assignee": None, "updated_date": date}
    return Delivery(
        "update:job", {"event": "update:job", "webhook_id": 1, "job": body, "before_update": {"state": "another"}}
    )


@pytest.fixture(scope="module")
def server():
    """URL of a fresh Postgres server; ``initdb`` refuses root, so root starts it as ``nobody``."""
    if shutil.which("initdb") is None or shutil.which("postgres") is None:
        pytest.skip("needs Postgres' initdb and postgres on the PATH")
    user = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="reefline-pg-") as folder:
        if user:
            shutil.chown(folder, "nobody")
        data = Path(folder) / "db"
        made = subprocess.run(
            ["initdb", "-D", data, "-U", "reefline", "-A", "trust", "-E", "UTF8", "--no-sync"],
            cwd="/", capture_output=True, check=False, **user,
        )  # fmt: skip
        if made.returncode:
            pytest.skip(f"initdb fails here: {made.stderr.decode().strip()[-200:]}")
        command = ["postgres", "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", folder]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, **user)
            try:
                yield wait_ready(f"postgresql+psycopg2://reefline@127.0.0.1:{port}/postgres", process)
            finally:
                process.send_signal(signal.SIGINT)  # the fast way to stop; SIGTERM waits for every connection
                process.wait(timeout=30)


def wait_ready(url, process):
    engine = sa.create_engine(url)
    for _ in range(300):
        try:
            with engine.connect():
                return url
        except sa.exc.OperationalError:
            assert process.poll() is None, "Postgres ended"
            threading.Event().wait(0.1)
    raise AssertionError("Postgres does not answer")


@pytest.fixture
def url(server):
    """A database of its own for each test."""
    name = f"inbox_{os.urandom(4).hex()}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"create database {name}")
    engine.dispose()
    return server.rpartition("/")[0] + "/" + name


def collect(inbox):
    inbox.interpret_new()
    due = inbox.due()
    for found in due:
        inbox.mark_done(found.batch, found.gate, found.last_id, "run")
    return len(due)


def test_a_review_goes_its_way_on_postgres(url):
    inbox = Inbox(url)
    inbox.register_review("reef.0001", "corners", 7, "http://cvat/tasks/7", [job(1, "new", 0)])
    assert inbox.insert(told(1, "completed", 2))
    assert not inbox.insert(told(1, "completed", 2)), "a duplicate"
    assert collect(inbox) == 1
    assert collect(inbox) == 0
    inbox.insert(told(1, "in progress", 3))
    assert collect(inbox) == 0
    assert inbox.apply_job_states([job(1, "completed", 4)]) == 1, "lost, and healed"
    assert collect(inbox) == 1
    [status] = inbox.reviews()
    assert (status.state, status.jobs_done, status.since.tzinfo is not None) == ("collected", 1, True)
    inbox.writable()


def test_receivers_on_postgres_lose_nothing_while_the_sensor_works(url):
    sensor = Inbox(url)
    numbers = range(1, 61)
    sensor.register_review("reef.0001", "corners", 7, None, [job(n, "new", 0) for n in numbers])
    failures, collected, finished = [], [], threading.Event()

    def receive(mine):
        receiver = Inbox(url)
        try:
            for number in mine:
                assert receiver.insert(told(number, "completed", number))
        except Exception as error:
            failures.append(error)

    def work():
        try:
            while not finished.is_set():
                collected.append(collect(sensor))
        except Exception as error:
            failures.append(error)

    receivers = [threading.Thread(target=receive, args=(numbers[k::4],)) for k in range(4)]
    worker = threading.Thread(target=work)
    for thread in (*receivers, worker):
        thread.start()
    for thread in receivers:
        thread.join()
    finished.set()
    worker.join()
    collected.append(collect(sensor))
    assert failures == []
    assert sum(collected) == 1
    assert sensor.counts() == {("webhook", "done"): len(numbers)}
