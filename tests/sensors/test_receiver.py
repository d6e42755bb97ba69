"""The webhook receiver as a real process, over real HTTP."""

import hashlib
import hmac
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager

import httpx
import pytest

from deploy.local.loopback import free_port
from resources.inbox import Inbox

SECRET = "s3cret-of-the-test"  # the one of the recorded deliveries


def payload(number=1, **job):
    told = {"id": number, "task_id": 7, "state": "completed", "stage": "annotation", "type": "annotation"}
    told |= {"assignee": None, "updated_date": f"2026-05-01T08:00:00.{number:06d}Z", **job}
    return {"event": "update:job", "webhook_id": 3, "job": told, "before_update": {"state": "in progress"}}


def signed(body, secret=SECRET, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return {"content": raw, "headers": {"Content-Type": "application/json", "X-Signature-256": signature, **headers}}


class Receiver:
    """A running receiver."""

    def __init__(self, url, process, log):
        self.url, self.process, self.log = url, process, log

    def post(self, body, path="/cvat/webhook", secret=SECRET, **headers):
        return httpx.post(self.url + path, timeout=30, **signed(body, secret, **headers))

    def metric(self, outcome):
        lines = httpx.get(self.url + "/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if f'outcome="{outcome}"' in line)


def environment(tmp_path, **extra):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REEFLINE_")}
    return {**kept, "REEFLINE_HOME": str(tmp_path), **extra}


@contextmanager
def running(tmp_path, *arguments, **extra):
    port = free_port()
    log = tmp_path / "receiver.log"
    url = f"sqlite:///{tmp_path / 'inbox.db'}"
    command = [sys.executable, "-m", "sensors.receiver", "--port", str(port), "--inbox-url", url, *arguments]
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=environment(tmp_path, **extra), stdout=out, stderr=out)
    receiver = Receiver(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_ready(receiver)
        yield receiver
    finally:
        process.kill()
        process.wait()


def wait_ready(receiver, seconds=30.0):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if httpx.get(receiver.url + "/ready").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        assert receiver.process.poll() is None, receiver.log.read_text()
        assert time.monotonic() < deadline, receiver.log.read_text()
        time.sleep(0.05)


@pytest.fixture
def receiver(tmp_path):
    with running(tmp_path, REEFLINE_WEBHOOK_SECRET=SECRET) as made:
        yield made


@pytest.fixture
def inbox(tmp_path):
    return Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")


def stored(inbox):
    return sum(inbox.counts().values())


def test_a_signed_delivery_is_stored_before_it_is_answered(receiver, inbox):
    assert receiver.post(payload()).status_code == 200
    assert inbox.counts() == {("webhook", "new"): 1}


def test_the_same_delivery_again_is_answered_200_and_stored_once(receiver, inbox):
    body = payload()
    assert [receiver.post(b).status_code for b in (body, dict(reversed(body.items())))] == [200, 200]
    assert stored(inbox) == 1
    assert (receiver.metric("accepted"), receiver.metric("duplicate")) == (1, 1)


def test_a_wrong_signature_is_refused_and_counted(receiver, inbox):
    for secret in ("", "wrong", "s3cret-of-the-tesT"):
        assert receiver.post(payload(), secret=secret).status_code == 401
    assert stored(inbox) == 0
    assert receiver.metric("refused_401") == 3


def test_an_unsigned_delivery_is_refused(receiver, inbox):
    for value in (None, b"", b"sha256=", "ünicode".encode()):
        headers = {"Content-Type": "application/json"} | ({"X-Signature-256": value} if value is not None else {})
        answer = httpx.post(receiver.url + "/cvat/webhook", content=b"{}", headers=headers)
        assert answer.status_code == 401
    assert stored(inbox) == 0


def test_the_signature_is_over_the_raw_bytes(receiver, inbox):
    raw = json.dumps(payload()).encode()
    request = signed(raw)
    request["content"] = raw.replace(b'": ', b'":')
    assert httpx.post(receiver.url + "/cvat/webhook", **request).status_code == 401
    assert stored(inbox) == 0


def test_the_signature_is_taken_without_its_prefix_too(receiver):
    request = signed(payload())
    request["headers"]["X-Signature-256"] = request["headers"]["X-Signature-256"].removeprefix("sha256=")
    assert httpx.post(receiver.url + "/cvat/webhook", **request).status_code == 200


def test_both_secrets_work_during_a_rotation(tmp_path):
    secrets = {"REEFLINE_WEBHOOK_SECRET": "new one", "REEFLINE_WEBHOOK_SECRET_PREVIOUS": "old one"}
    with running(tmp_path, **secrets) as receiver:
        codes = [receiver.post(payload(n), secret=s).status_code for n, s in enumerate(("new one", "old one", "x"))]
        assert codes == [200, 200, 401]
        assert "one" not in receiver.log.read_text().replace("no one", "")


def test_a_body_that_is_too_big_is_refused_with_and_without_a_declared_length(tmp_path, inbox):
    with running(tmp_path, "--body-limit", "1000", REEFLINE_WEBHOOK_SECRET=SECRET) as receiver:
        body = json.dumps(payload(name="x" * 2000)).encode()
        assert receiver.post(body).status_code == 413
        request = signed(body)
        request["content"] = iter([body[:700], body[700:]])  # sent in chunks, no Content-Length
        assert httpx.post(receiver.url + "/cvat/webhook", **request).status_code == 413
        assert receiver.metric("refused_413") == 2
    assert stored(inbox) == 0


def test_a_body_of_three_megabytes_with_accents_is_stored(receiver, inbox):
    body = payload()
    body["job"]["note"] = "Acropora é " * 280_000
    assert receiver.post(json.dumps(body, ensure_ascii=False).encode()).status_code == 200
    assert stored(inbox) == 1


def test_what_is_no_event_is_refused_with_400(receiver, inbox):
    for raw in (b"", b"not json", b"[1, 2]", b'"text"', b'{"no": "event"}', b"[" * 100_000):
        assert receiver.post(raw).status_code == 400, raw[:20]
    assert stored(inbox) == 0


def test_another_content_type_is_refused(receiver, inbox):
    assert receiver.post(payload(), **{"Content-Type": "text/plain"}).status_code == 400
    assert receiver.post(payload(), **{"Content-Type": "application/json; charset=utf-8"}).status_code == 200
    assert stored(inbox) == 1


def test_a_ping_is_answered_and_leaves_nothing(receiver, inbox):
    assert receiver.post({"event": "ping", "webhook": {"id": 2}}).status_code == 200
    assert stored(inbox) == 0


BRIDGE_PATHS = (
    "/detect-model-webhook",
    "/crop-quadrat-and-create-new-task-webhook",
    "/remove-grid-and-create-new-task-webhook",
    "/crop-quadrat-and-detect-grid-webhook",
    "/remove-grid-and-detect-corals-webhook",
    "/crop-quadrat-and-detect-corals-webhook",
    "/test-webhook",
)
"""What QUADRATSEG sites have in their webhooks today."""


def test_the_bridges_old_addresses_lead_into_the_same_inbox(tmp_path, receiver, inbox):
    for number, path in enumerate(BRIDGE_PATHS):
        assert receiver.post(payload(number), path=f"{path}?target_proj_id={number}").status_code == 200
    assert stored(inbox) == len(BRIDGE_PATHS)
    with closing(sqlite3.connect(tmp_path / "inbox.db")) as database:
        kept = database.execute("select path, query from deliveries order by id").fetchall()
    assert [path for path, _ in kept] == list(BRIDGE_PATHS)
    assert [json.loads(query) for _, query in kept] == [{"target_proj_id": str(n)} for n in range(len(BRIDGE_PATHS))]


def test_health_answers_without_the_inbox_and_ready_with_it(receiver):
    assert httpx.get(receiver.url + "/health").json() == {"status": "healthy"}
    assert httpx.get(receiver.url + "/ready").status_code == 200


def test_a_locked_inbox_is_answered_503_and_the_retry_is_stored(tmp_path, receiver, inbox):
    with closing(sqlite3.connect(tmp_path / "inbox.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        answers = []
        asked = [
            threading.Thread(target=lambda: answers.append(receiver.post(payload()).status_code)),
            threading.Thread(target=lambda: answers.append(httpx.get(receiver.url + "/ready", timeout=30).status_code)),
        ]
        for thread in asked:
            thread.start()
        assert httpx.get(receiver.url + "/health").status_code == 200, "the process itself lives"
        for thread in asked:
            thread.join()
        assert answers == [503, 503]
        other.execute("rollback")
    assert receiver.metric("storage_failed") == 1
    assert stored(inbox) == 0
    assert receiver.post(payload()).status_code == 200
    assert stored(inbox) == 1


def test_killed_under_load_it_has_every_delivery_it_answered(tmp_path, receiver, inbox):
    answered, lock = [], threading.Lock()

    def send(first):
        with httpx.Client() as client:
            for number in range(first, 100_000, 4):
                try:
                    answer = client.post(receiver.url + "/cvat/webhook", **signed(payload(number)))
                except httpx.HTTPError:
                    return
                with lock:
                    answered.extend([number] if answer.status_code == 200 else [])

    senders = [threading.Thread(target=send, args=(k,)) for k in range(1, 5)]
    for thread in senders:
        thread.start()
    while len(answered) < 100:
        time.sleep(0.01)
    os.kill(receiver.process.pid, signal.SIGKILL)
    for thread in senders:
        thread.join()
    with closing(sqlite3.connect(tmp_path / "inbox.db")) as database:
        kept = {number for (number,) in database.execute("select job_id from deliveries")}
    assert len(answered) >= 100
    assert set(answered) <= kept


def test_sigterm_ends_it_cleanly(receiver):
    receiver.post(payload())
    receiver.process.send_signal(signal.SIGTERM)
    # uvicorn ends itself with the signal again after it has shut down, so both are a clean end
    assert receiver.process.wait(timeout=20) in (0, -signal.SIGTERM)


def test_the_recorded_deliveries_of_cvat_verify_and_are_stored(receiver, inbox, shared):
    lines = (shared / "contracts/cvat/webhooks/deliveries.jsonl").read_text(encoding="utf-8").splitlines()
    with httpx.Client() as client:
        for item in map(json.loads, lines):
            headers = {k: v for k, v in item["headers"] if k in ("X-Signature-256", "Content-Type", "User-Agent")}
            answer = client.post(receiver.url + "/cvat/webhook", content=item["raw_body"].encode(), headers=headers)
            expected = 200 if "X-Signature-256" in headers else 401
            assert answer.status_code == expected, (item["n"], answer.text)
    assert stored(inbox) == receiver.metric("accepted") > 200


def test_without_a_secret_it_does_not_start(tmp_path):
    command = [sys.executable, "-m", "sensors.receiver", "--port", str(free_port())]
    ended = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "REEFLINE_WEBHOOK_SECRET" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_unsigned_is_taken_only_when_asked_for(tmp_path, inbox):
    with running(tmp_path, "--allow-unsigned") as receiver:
        headers = {"Content-Type": "application/json"}
        answer = httpx.post(receiver.url + "/cvat/webhook", content=json.dumps(payload()), headers=headers)
        assert answer.status_code == 200
    assert stored(inbox) == 1


def test_the_secret_is_never_logged(tmp_path):
    secret = "a-secret-that-must-not-show"
    with running(tmp_path, REEFLINE_WEBHOOK_SECRET=secret) as receiver:
        receiver.post(payload(), secret=secret)
        receiver.post(payload(), secret="wrong")
        receiver.post(b"no json", secret=secret)
        log = receiver.log.read_text()
    assert "401" in log
    assert secret not in log
    assert hmac.new(secret.encode(), json.dumps(payload()).encode(), hashlib.sha256).hexdigest() not in log
