"""Faults and dialects of the sandbox's webhooks: each has an effect that can be counted."""

import hashlib
import hmac

import pytest

from deploy.local.sandbox.faults import Faults
from resources.inbox.interpret import interpret
from tests.contract.server import SandboxProcess, wait_until

STATES = ("in progress", "completed", "rejected", "new") * 3


@pytest.fixture
def job(workplace):
    """A job whose changes of state are told to a webhook, with the webhook."""
    project = workplace.project()
    [job] = workplace.jobs(workplace.task(project))
    return job | {"hook": workplace.hook(project, events=["update:job"])}


def change(workplace, job, states=STATES):
    for state in states:
        workplace.patch(f"/api/jobs/{job['id']}", {"state": state})


def told(taken):
    return [d["body"]["job"]["state"] for d in taken]


def test_without_faults_every_change_arrives_once_and_in_order(workplace, job):
    change(workplace, job)
    assert told(workplace.settled()) == list(STATES)


def test_a_dropped_event_leaves_no_delivery_row(workplace, job):
    workplace.post("/sandbox/faults", {"drop": 0.5, "seed": 3})
    change(workplace, job)
    taken = workplace.settled()
    counts = workplace.get("/sandbox/faults")
    assert 0 < counts["dropped"] < counts["events"] == len(STATES)
    assert len(taken) == len(workplace.deliveries(job["hook"])) == len(STATES) - counts["dropped"]
    lost = [Faults(drop=0.5, seed=3).fate(n).drop for n in range(len(STATES))]
    assert told(taken) == [state for state, gone in zip(STATES, lost, strict=True) if not gone]


def test_a_doubled_event_arrives_twice_with_the_same_bytes(workplace, job):
    workplace.post("/sandbox/faults", {"double": 0.5, "seed": 3})
    change(workplace, job)
    taken = workplace.settled()
    counts = workplace.get("/sandbox/faults")
    assert 0 < counts["doubled"] < len(STATES)
    assert len(taken) == len(STATES) + counts["doubled"]
    assert len({d["raw"] for d in taken}) == len(STATES)


def test_a_reordered_event_arrives_after_the_next_one(workplace, job):
    workplace.post("/sandbox/faults", {"reorder": 0.4, "seed": 5})
    change(workplace, job)
    dates = [d["body"]["job"]["updated_date"] for d in workplace.settled()]
    assert workplace.get("/sandbox/faults")["reordered"] > 0
    assert len(dates) == len(set(dates)) == len(STATES)
    assert dates != sorted(dates)


def test_a_reordered_event_that_nothing_follows_arrives_all_the_same(workplace, job):
    workplace.post("/sandbox/faults", {"reorder": 1})
    change(workplace, job, ["completed"])
    assert told(workplace.settled()) == ["completed"]


def test_a_corrupted_body_does_not_fit_its_signature_but_the_delivery_row_is_whole(workplace, job):
    workplace.post("/sandbox/faults", {"corrupt": 1, "seed": 1})
    change(workplace, job, ["completed"])
    [taken] = workplace.settled()
    signature = "sha256=" + hmac.new(b"of the test", taken["raw"], hashlib.sha256).hexdigest()
    assert taken["headers"]["x-signature-256"] != signature
    [row] = workplace.deliveries(job["hook"])
    assert row["request"]["job"]["state"] == "completed"


def test_delayed_events_arrive_later(workplace, job):
    workplace.post("/sandbox/faults", {"delay_s": 1.5})
    change(workplace, job, ["completed"])
    with pytest.raises(AssertionError):
        wait_until(lambda: workplace.receiver.taken, 1)
    assert told(wait_until(lambda: workplace.receiver.taken, 5)) == ["completed"]


def test_the_same_seed_chooses_the_same_events():
    drawn = [[Faults(0.3, 0.3, 0.3, 0.3, seed=seed).fate(n) for n in range(100)] for seed in (7, 7, 8)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_faults_that_make_no_sense_are_refused(workplace):
    for body in ({"drop": 2}, {"lose": 0.5}, {"drop": "often"}, {"delay_s": -1}):
        assert workplace.client.post("/sandbox/faults", json=body).status_code == 400
    assert workplace.client.post("/sandbox/dialect", json={"dialect": "1.0"}).status_code == 400
    assert workplace.client.post("/sandbox/dialect", json={"dialect": "2.54", "retries": [1]}).status_code == 400


def test_only_the_administrator_sets_faults(workplace):
    body = {"username": "mallory", "password1": "a long password"}
    workplace.post("/api/auth/register", body)
    with workplace.sandbox.login("mallory", "a long password") as client:
        for path in ("faults", "dialect"):
            assert client.get(f"/sandbox/{path}").status_code == 403
            assert client.post(f"/sandbox/{path}", json={}).status_code == 403


@pytest.mark.parametrize("dialect", ["2.54", "2026"])
def test_a_change_of_state_is_understood_in_both_dialects_and_a_save_is_noise(workplace, job, dialect):
    workplace.post("/sandbox/dialect", {"dialect": dialect, "retries": []})
    change(workplace, job, ["completed"])
    empty = {"version": 0, "tags": [], "shapes": [], "tracks": []}
    assert workplace.client.put(f"/api/jobs/{job['id']}/annotations", json=empty).is_success
    bodies = [d["body"] for d in workplace.settled()]
    assert [("changes" in body) for body in bodies] == [dialect == "2026"] * 2
    transition, save = (interpret(body["event"], body) for body in bodies)
    assert transition.job.state == "completed"
    assert transition.state_changed
    assert save.noise


def test_delivery_rows_and_event_names_follow_the_dialect(workplace, job):
    workplace.post("/sandbox/dialect", {"dialect": "2026", "retries": []})
    change(workplace, job, ["completed"])
    workplace.settled()
    [row] = workplace.deliveries(job["hook"])
    assert row["attempt"] == 1
    assert row["request_duration"] >= 0
    assert "changed_fields" not in row
    assert {"key": "update:job", "group": {"display_name": "Job"}} in workplace.get("/api/webhooks/events")["events"]


def test_a_failed_delivery_is_tried_again_with_one_row_an_attempt_until_it_succeeds(workplace, job):
    workplace.post("/sandbox/dialect", {"dialect": "2026", "retries": [0.2, 0.2, 0.2]})
    workplace.receiver.answers[:] = [503, 429]
    change(workplace, job, ["completed"])
    wait_until(lambda: len(workplace.receiver.taken) == 3, 10)
    workplace.settled()
    rows = workplace.deliveries(job["hook"])
    assert [(r["attempt"], r["status_code"]) for r in rows] == [(1, 503), (2, 429), (3, 200)]
    assert rows[0]["request"] == rows[2]["request"]


def test_a_refused_delivery_is_final_and_so_is_that_of_a_webhook_switched_off(workplace, job):
    workplace.post("/sandbox/dialect", {"dialect": "2026", "retries": [0.5]})
    workplace.receiver.answers[:] = [400, 503]
    change(workplace, job, ["completed", "rejected"])
    wait_until(lambda: len(workplace.deliveries(job["hook"])) == 2)
    workplace.patch(f"/api/webhooks/{job['hook']['id']}", {"is_active": False})
    assert len(workplace.settled()) == 2


def test_a_retry_that_waits_does_not_hold_up_newer_events(workplace, job):
    workplace.post("/sandbox/dialect", {"dialect": "2026", "retries": [1]})
    workplace.receiver.answers[:] = [500]
    change(workplace, job, ["in progress", "completed"])
    taken = wait_until(lambda: len(workplace.receiver.taken) == 3 and workplace.receiver.taken, 10)
    assert told(taken) == ["in progress", "completed", "in progress"]


def test_faults_and_dialect_outlive_a_restart_and_flags_set_the_dialect(tmp_path):
    process = SandboxProcess(tmp_path, flags=("--dialect", "2026", "--retries", "5,300")).start()
    try:
        with process.login() as client:
            assert client.get("/sandbox/dialect").json() == {"dialect": "2026", "retries": [5, 300]}
            client.post("/sandbox/faults", json={"drop": 0.25, "seed": 9})
        process.kill()
        process.flags = ()
        process.start()
        with process.login() as client:
            assert client.get("/sandbox/dialect").json() == {"dialect": "2026", "retries": [5, 300]}
            assert client.get("/sandbox/faults").json()["drop"] == 0.25
    finally:
        process.stop()
