"""The sandbox's event log and the working time in it."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from deploy.local.sandbox.events import COLUMNS, PLACES, working_time

START = datetime(2026, 1, 1, tzinfo=UTC)


def dated(event):
    return event and {**event, "timestamp": START + timedelta(milliseconds=event["t_ms"])}


def test_working_time_is_that_of_cvat_in_all_its_cases(shared):
    cases = json.loads((shared / "vectors" / "working_time.json").read_text(encoding="utf-8"))["cases"]
    assert len(cases) >= 40
    for case in cases:
        found = working_time([dated(e) for e in case["events"]], dated(case["previous_event"]))
        wanted = {tuple(e[p] for p in PLACES): (e["working_time_ms"], e["first_event_t_ms"]) for e in case["expected"]}
        got = {
            place: (total / timedelta(milliseconds=1), (first - START) / timedelta(milliseconds=1))
            for place, (total, first) in found.items()
        }
        assert got == wanted, case["name"]


def exported(workplace, **query):
    """The log as rows."""
    number = workplace.client.post("/api/events/export", params=query).json()["rq_id"]
    status = workplace.get(f"/api/requests/{number}")
    assert status["status"] == "finished"
    answer = workplace.client.get(status["result_url"])
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.fixture
def job(workplace):
    """A job, with its project."""
    [made] = workplace.jobs(workplace.task(workplace.project()))
    return made


def clicked(job, *minutes):
    """Clicks of a browser, each with when (in minutes, by a clock that is an hour fast)."""
    now = datetime.now(UTC) + timedelta(hours=1)
    place = {"job_id": job["id"], "task_id": job["task_id"], "project_id": job["project_id"]}
    events = [
        {"scope": "click:element", "timestamp": (now + timedelta(minutes=m)).isoformat(), **place} for m in minutes
    ]
    return {"events": events, "previous_event": None, "timestamp": now.isoformat()}


def test_clicks_become_working_time_by_the_servers_clock(workplace, job):
    answer = workplace.post("/api/events", clicked(job, -3, -2, -1.5))
    told = datetime.fromisoformat(answer["events"][-1]["timestamp"])
    assert abs(told - (datetime.now(UTC) - timedelta(minutes=1.5))) < timedelta(seconds=30)
    rows = exported(workplace, job_id=job["id"])
    [worked] = [r for r in rows if r["scope"] == "send:working_time"]
    assert json.loads(worked["payload"])["working_time"] == 90_000
    assert (worked["duration"], worked["source"]) == ("90000", "server")
    assert [r["scope"] for r in rows].count("click:element") == 3


def test_a_heartbeat_counts_as_work_and_is_not_kept(workplace, job):
    body = clicked(job, -2, -1)
    body["events"][1]["scope"] = "user:activity"
    workplace.post("/api/events", body)
    scopes = [r["scope"] for r in exported(workplace, job_id=job["id"])]
    assert "send:working_time" in scopes
    assert "user:activity" not in scopes


def test_the_log_has_cvats_columns_and_tells_changes_of_state_and_new_shapes(workplace, job, contract):
    label = workplace.get("/api/labels", job_id=job["id"])["results"][0]["id"]
    shape = {"type": "polygon", "frame": 0, "label_id": label, "points": [0, 0, 9, 0, 9, 9]}
    body = {"shapes": [shape], "tags": [], "tracks": []}
    workplace.client.patch(f"/api/jobs/{job['id']}/annotations", json=body, params={"action": "create"})
    workplace.patch(f"/api/jobs/{job['id']}", {"state": "completed"})
    rows = exported(workplace, job_id=job["id"])
    header = (contract / "sdk280" / "events_export.csv").read_text(encoding="utf-8").splitlines()[0]
    assert ",".join(rows[0]) == header == ",".join(COLUMNS)
    [state] = [r for r in rows if (r["scope"], r["obj_name"]) == ("update:job", "state")]
    assert state["obj_val"] == "completed"
    assert json.loads(state["payload"])["old_value"] == "new"
    [drawn] = [r for r in rows if r["scope"] == "create:shapes"]
    assert (drawn["obj_name"], drawn["count"]) == ("polygon", "1")


def test_the_log_is_filtered_by_place_and_time(workplace, job):
    workplace.post("/api/events", clicked(job, -2, -1))
    assert exported(workplace, task_id=job["task_id"] + 1) == []
    since = (datetime.now(UTC) - timedelta(seconds=90)).isoformat()
    clicks = [r for r in exported(workplace, job_id=job["id"], **{"from": since}) if r["scope"] == "click:element"]
    assert len(clicks) == 1


def test_the_older_way_to_the_log_goes_in_three_steps(workplace, job):
    number = workplace.get("/api/events", job_id=job["id"])["query_id"]
    assert workplace.client.get("/api/events", params={"query_id": number}).status_code == 201
    answer = workplace.client.get("/api/events", params={"query_id": number, "action": "download"})
    assert answer.text.startswith("scope,obj_name")
    assert workplace.client.get("/api/events/download", params={"rq_id": "../sandbox.db"}).status_code == 404


def test_events_that_cannot_be_read_are_refused(workplace):
    for body in ({}, {"events": [{}], "timestamp": "2026-01-01T00:00:00Z"}, {"events": [], "timestamp": "now"}):
        assert workplace.client.post("/api/events", json=body).status_code == 400
