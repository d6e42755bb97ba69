"""The table of working time, computed in pieces, beside CVAT's algorithm over all events at once."""

import json
import time
from datetime import UTC, datetime

import pytest

from analytics.events import read_lines, table_of
from resources.events import compare_worktime, cvat_time, load_events, refresh_worktime
from tests.analytics.chdb_worker import Worker

EDGE = int(datetime(2026, 10, 31, 23, 59, 0, tzinfo=UTC).timestamp())
"""A minute before a month ends."""


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with Worker(tmp_path_factory.mktemp("compared") / "ch") as made:
        made.ask(in_session, migrate)
        yield made


@pytest.fixture
def loaded(worker):
    """Two people at work over the end of a month, one of them in two jobs; the table is up to date."""
    worker.ask(in_session, empty)
    worker.ask(in_session, load, *(event(EDGE + s, 5, 1 + s // 100 % 2) for s in range(0, 240, 20)))
    worker.ask(in_session, load, *(event(EDGE + s, 6, 3, "change:frame", 9_000) for s in (-3000, 10, 50, 90)))
    time.sleep(1.1)  # times of loading are whole seconds: in the second of a load its month is not up to date
    assert worker.ask(in_session, refresh_worktime) == [202610, 202611]
    return worker


def in_session(clickhouse, work, *arguments):
    with clickhouse.session({"run_id": "a run"}) as session:
        return work(session, *arguments)


def migrate(session):
    return session.migrate()


def empty(session):
    for table in ("events", "worktime", "worktime_months", "worktime_reach"):
        session.command(f"TRUNCATE TABLE {table}")


def event(second, user, job, scope="click:element", duration=0):
    return {"scope": scope, "source": "client", "duration": duration, "payload": "{}", "user_id": user, "job_id": job,
            "task_id": 2, "project_id": 3, "timestamp": str(second)}  # fmt: skip


def load(session, *events):
    found, rejects = read_lines("\n".join(map(json.dumps, events)).encode())
    assert not rejects
    return load_events(session, table_of(found), "sink", "a segment")


def change(session, sql):
    session.command(f"ALTER TABLE {sql} SETTINGS mutations_sync = 2")


def total(session):
    return sum(cvat_time(session, [202610, 202611])["cvat_ms"].to_pylist())


def stored(session):
    return session.value("SELECT sum(cvat_ms) FROM worktime")


def test_months_computed_one_after_the_other_hold_what_all_at_once_gives(loaded):
    found = loaded.ask(in_session, compare_worktime)
    assert (found.months, found.rows) == ([202610, 202611], [])
    assert loaded.ask(in_session, total) == loaded.ask(in_session, stored) > 0


def test_a_sum_that_is_not_cvats_is_named(loaded):
    loaded.ask(in_session, change, "worktime UPDATE cvat_ms = cvat_ms + 7 WHERE job_id = 3")
    [row] = loaded.ask(in_session, compare_worktime).rows
    assert (row["user_id"], row["job_id"]) == (6, 3)
    assert row["stored_ms"] - row["fresh_ms"] in (7, 14), "a row a day"


def test_months_whose_events_are_no_longer_those_of_the_table_are_not_compared(loaded):
    """The past that they leave to the months after them is known still."""
    loaded.ask(in_session, change, f"events DELETE WHERE timestamp < toDateTime({EDGE - 100})")
    found = loaded.ask(in_session, compare_worktime)
    assert (found.months, found.rows) == ([202611], [])
    loaded.ask(in_session, load, event(EDGE + 500, 5, 1))
    assert loaded.ask(in_session, compare_worktime).months == []
