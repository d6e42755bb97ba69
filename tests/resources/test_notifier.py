"""Notices over real HTTP: delivered, and never in the way of the caller."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from resources import notifier
from resources.notifier import Notifier


@pytest.fixture
def receiver():
    got, answers = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers.pop(0) if answers else 200)
            self.end_headers()

        def log_message(self, *_):
            """Stay quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", got, answers
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(Notifier._post.retry, "wait", notifier.wait_exponential_jitter(0.01, 0.02))


def test_a_notice_reaches_its_receiver_with_its_facts(receiver):
    url, got, _ = receiver
    assert Notifier(url).send("a run failed", {"batch": "reef.0001"})
    assert got == [{"text": "a run failed\nbatch: reef.0001", "batch": "reef.0001"}]


def test_a_receiver_that_fails_once_is_tried_again(receiver):
    url, got, answers = receiver
    answers.append(500)
    assert Notifier(url).send("a run failed", {})
    assert len(got) == 2


def test_a_receiver_that_is_gone_is_logged_and_stops_nobody(caplog):
    assert not Notifier("http://127.0.0.1:9/").send("a run failed", {})
    assert "did not reach its receiver" in caplog.text


def test_without_a_receiver_the_log_is_enough():
    assert Notifier("").send("a run failed", {})


def test_an_address_that_is_none_is_refused_at_once():
    with pytest.raises(ValueError, match="REEFLINE_NOTIFY_URL"):
        Notifier("slack")
