"""The receiver's figures for Prometheus, read as Prometheus reads them."""

import json
import re
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from resources.inbox import Inbox, JobState
from sensors.receiver.app import ReceiverSettings, create_app
from sensors.receiver.signature import HEADER, sign

LINE = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.e+]+')


@pytest.fixture
def inbox(tmp_path):
    return Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")


def figures(client):
    text = client.get("/metrics").text
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in lines), lines
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def post(client, body, secret="s"):
    data = json.dumps(body).encode()
    headers = {HEADER: sign(secret, data), "Content-Type": "application/json"}
    return client.post("/cvat/webhook", content=data, headers=headers).status_code


def test_answers_and_the_state_of_the_inbox_are_counted(inbox):
    job = JobState(1, 7, "annotation", "new", "annotation", None, datetime(2026, 5, 1, tzinfo=UTC))
    inbox.register_review("reef.0001", "corners", 7, None, [job])
    with TestClient(create_app(inbox, ReceiverSettings(["s"]))) as client:
        event = {"event": "update:job", "job": {"id": 1, "task_id": 7}, "webhook_id": 1}
        assert post(client, event) == post(client, event) == 200
        assert post(client, {"event": "ping"}) == 200
        assert post(client, event, secret="another") == 401
        found = figures(client)
    assert found['reefline_receiver_requests_total{outcome="accepted"}'] == 1
    assert found['reefline_receiver_requests_total{outcome="duplicate"}'] == 1
    assert found['reefline_receiver_requests_total{outcome="ping"}'] == 1
    assert found['reefline_receiver_requests_total{outcome="refused_401"}'] == 1
    assert found["reefline_receiver_answer_seconds_count"] == 4
    assert found['reefline_receiver_answer_seconds_bucket{le="+Inf"}'] == 4
    assert found['reefline_inbox_rows{source="webhook",state="new"}'] == 1
    assert found['reefline_reviews_open{gate="corners"}'] == 1
    assert found["reefline_inbox_oldest_waiting_seconds"] >= 0
    assert found["reefline_last_delivery_timestamp_seconds"] > 1e9


def test_figures_come_also_while_the_inbox_is_away():
    away = Inbox("postgresql+psycopg2://reefline:secret@127.0.0.1:9/x")
    with TestClient(create_app(away, ReceiverSettings(["s"]))) as client:
        assert post(client, {"event": "update:job", "job": {"id": 1}}) == 503
        found = figures(client)
    assert found["reefline_inbox_up"] == 0
    assert found['reefline_receiver_requests_total{outcome="storage_failed"}'] == 1
