"""Deliveries recorded from a running CVAT 2.54.1, read by the inbox."""

import json
from collections import Counter

import pytest

from resources.inbox import Delivery, Inbox
from resources.inbox.interpret import changed_fields, dedupe_key, interpret


@pytest.fixture(scope="module")
def recorded(shared):
    lines = (shared / "contracts/cvat/webhooks/deliveries.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_only_changes_of_a_job_are_transitions(recorded):
    for item in recorded:
        body = item["body"]
        meaning = interpret(body["event"], body)
        told = set(body.get("before_update") or {})
        expected = body["event"] == "create:job" or (
            body["event"] == "update:job" and bool(told & {"state", "stage", "assignee"})
        )
        assert (meaning.job is not None) == expected, body["event"]
        assert (meaning.noise is None) == expected


def test_every_job_of_a_delivery_can_be_read(recorded):
    jobs = [item["body"]["job"] for item in recorded if "job" in item["body"]]
    states = Counter(m.job.state for b in recorded if (m := interpret(b["body"]["event"], b["body"])).job)
    assert jobs
    assert set(states) == {"new", "in progress", "completed", "rejected"}


def test_most_of_what_cvat_sends_is_noise(recorded):
    noise = sum(interpret(item["body"]["event"], item["body"]).job is None for item in recorded)
    assert noise > len(recorded) / 2


def test_the_change_of_updated_date_alone_is_told_as_such(recorded):
    saves = [b["body"] for b in recorded if set(b["body"].get("before_update") or ()) == {"updated_date"}]
    assert saves
    assert all(changed_fields(body) == {"updated_date"} for body in saves)


def test_a_recorded_redelivery_has_other_bytes_and_the_same_key(recorded):
    by_key = {}
    for item in (item for item in recorded if item["body"]["event"] != "ping"):
        by_key.setdefault((item["path"], dedupe_key(item["body"])), []).append(item["raw_body"])
    doubled = {key: bodies for key, bodies in by_key.items() if len(bodies) > 1}
    assert any(len(set(bodies)) > 1 for bodies in doubled.values())
    for bodies in doubled.values():
        assert len({json.dumps(json.loads(body), sort_keys=True) for body in bodies}) == 1


def test_the_whole_recording_is_kept_and_read(recorded, tmp_path):
    inbox = Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")
    kept = [inbox.insert(Delivery(item["body"]["event"], item["body"])) for item in recorded]
    assert sum(kept) == len({dedupe_key(item["body"]) for item in recorded})
    seen = inbox.interpret_new()
    assert seen.noise + seen.transitions + seen.waiting == sum(kept)
    assert inbox.due() == []
