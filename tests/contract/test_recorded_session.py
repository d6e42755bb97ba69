"""The sandbox answers a recorded session as the CVAT 2.54.1 it was recorded from did."""

import hashlib
import hmac
import json
import time

from tests.contract.session import summary

SECRET = b"s3cret-of-the-test"
KNOWN = {
    # The sandbox does not pass for CVAT.
    "18-annotator-login: GET /api/server/about": [".name is "],
    # CVAT tells a date here that it does not keep.
    "16-task-assign-annotator: PATCH /api/tasks/5": [".assignee_updated_date is null"],
}
"""Differences that are meant, by exchange."""


def test_every_answer_has_the_status_fields_types_and_values_of_the_recorded_one(played):
    wrong = [
        f"{exchange.name} {found}"
        for step in played.steps.values()
        for exchange in step.exchanges
        for found in exchange.found
        if not any(found.startswith(meant) for meant in KNOWN.get(exchange.name, ()))
    ]
    assert wrong == []


def test_every_step_sends_the_recorded_webhooks_in_the_recorded_order(played):
    wrong = {
        step.name: (summary(step.recorded_hooks), summary(step.live_hooks))
        for step in played.steps.values()
        if summary(step.recorded_hooks) != summary(step.live_hooks)
    }
    assert wrong == {}
    assert sum(len(step.live_hooks) for step in played.steps.values()) > 70


def test_webhook_bodies_say_what_the_recorded_ones_said(played):
    wrong = {step.name: found for step in played.steps.values() if (found := played.hook_differences(step))}
    assert wrong == {}


def test_every_webhook_is_signed_over_its_raw_bytes_and_carries_cvats_headers(played, receiver):
    assert receiver.taken
    for delivery in receiver.taken:
        wanted = "sha256=" + hmac.new(SECRET, delivery["raw"], hashlib.sha256).hexdigest()
        # Webhooks of the replay's second receiver were recorded with the same secret.
        assert delivery["headers"]["x-signature-256"] == wanted
        assert delivery["headers"]["user-agent"].startswith("CVAT/2.54.1")
        assert delivery["headers"]["content-type"] == "application/json"


def test_failed_deliveries_are_on_record_and_are_not_sent_again(played):
    client = played.replay.clients["admin"]
    [failing] = [w for w in client.get("/api/webhooks").json()["results"] if "/fail/" in w["target_url"]]
    listed = client.get(f"/api/webhooks/{failing['id']}/deliveries", params={"page_size": 100}).json()["results"]
    assert {d["status_code"] for d in listed} == {500}
    assert failing["last_status"] == 500
    sent = [json.dumps(d["request"], sort_keys=True) for d in listed]
    assert len(sent) == len(set(sent))


def test_a_redelivery_has_the_same_content_in_another_order_of_keys(played, receiver, contract):
    client = played.replay.clients["admin"]
    [hook] = [w for w in client.get("/api/webhooks").json()["results"] if "/hook/" in w["target_url"]]
    path = f"/api/webhooks/{hook['id']}/deliveries"
    listed = client.get(path, params={"page_size": 100}).json()
    recorded = json.loads((contract / "sdk280" / "webhook_deliveries_api.json").read_text(encoding="utf-8"))
    recorded = recorded["results"] if isinstance(recorded, dict) else recorded
    assert {d.keys() == recorded[0].keys() for d in listed["results"]} == {True}
    chosen = next(d for d in listed["results"] if d["event"] == "update:job")
    before = len(receiver.taken)
    assert client.post(f"{path}/{chosen['id']}/redelivery").json() == {}
    for _ in range(200):  # the worker sends it, soon
        if len(receiver.taken) > before and client.get(path).json()["results"][0]["redelivery"]:
            break
        time.sleep(0.05)
    again = receiver.taken[-1]
    assert again["body"] == chosen["request"]
    assert list(again["body"]) != list(chosen["request"])
    assert again["headers"]["x-signature-256"] == (
        "sha256=" + hmac.new(SECRET, again["raw"], hashlib.sha256).hexdigest()
    )
    assert client.get(path).json()["results"][0]["redelivery"] is True
