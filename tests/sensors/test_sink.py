"""The event sink: what it acknowledges is kept, through SIGKILL and a database that is away."""

import base64
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime

import httpx
import pytest

from analytics.events import Reject, read_lines
from resources.events.spool import SEAL_ROWS, Spool, SpoolBusyError, SpoolFullError, read_segment, rows_of

NOW = int(datetime.now(UTC).timestamp())
SECRET = "a secret of the test"
BEARER = {"Authorization": f"Bearer {SECRET}"}


def event(number):
    return {"scope": "click:element", "source": "client", "timestamp": str(NOW - 600 + number % 60), "user_id": 1,
            "user_name": "ann", "payload": json.dumps({"n": number})}  # fmt: skip


def lines(*numbers):
    return "\n".join(json.dumps(event(n)) for n in numbers).encode()


def events(*numbers):
    found, rejects = read_lines(lines(*numbers))
    assert not rejects
    return found


# The buffer.


def test_a_segment_gives_back_what_was_put_in(tmp_path):
    spool = Spool(tmp_path)
    spool.append(events(1, 2), [Reject(3, "no JSON", "{bad")])
    assert spool.waiting == 3
    spool.seal()
    [segment] = spool.segments()
    assert rows_of(segment) == 3
    assert read_segment(segment) == (events(1, 2), [Reject(3, "no JSON", "{bad")])
    spool.drop(segment)
    assert (spool.waiting, spool.size) == (0, 0)


def test_many_rows_are_sealed_at_once_and_few_after_a_second(tmp_path, monkeypatch):
    spool = Spool(tmp_path)
    spool.append(events(*range(SEAL_ROWS)))
    assert [rows_of(s) for s in spool.due()] == [SEAL_ROWS]
    spool.append(events(1))
    assert len(spool.due()) == 1
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock + 2)
    assert [rows_of(s) for s in spool.due()] == [SEAL_ROWS, 1]


def test_after_a_kill_the_whole_lines_are_there_and_the_half_one_is_not(tmp_path):
    spool = Spool(tmp_path)
    spool.append(events(1, 2))
    spool.close()
    (tmp_path / "000000000009.open").write_bytes((tmp_path / "000000000001-2.jsonl").read_bytes() + b'["half a li')
    again = Spool(tmp_path)
    assert [read_segment(s)[0] for s in again.segments()] == [events(1, 2), events(1, 2)]
    again.append(events(3))
    again.seal()
    assert [s.name for s in again.segments()][-1] == "000000000010-1.jsonl"


def test_a_full_buffer_makes_senders_wait_and_keeps_what_it_has(tmp_path):
    spool = Spool(tmp_path, limit_bytes=400)
    spool.append(events(1))
    with pytest.raises(SpoolFullError):
        spool.append(events(*range(9)))
    spool.seal()
    assert [read_segment(s)[0] for s in spool.segments()] == [events(1)]


def test_a_disk_that_is_full_leaves_no_half_line(tmp_path, monkeypatch):
    spool = Spool(tmp_path)
    spool.append(events(1))

    def refuse(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(SpoolFullError, match="No space left"):
            spool.append(events(2))
    spool.append(events(3))
    spool.seal()
    assert read_segment(spool.segments()[0])[0] == events(1, 3)


def test_a_folder_belongs_to_one_sink(tmp_path):
    spool = Spool(tmp_path)
    with pytest.raises(SpoolBusyError, match="another sink"):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path).close()


# The process.


class Sink:
    """A running sink over an embedded ClickHouse."""

    def __init__(self, home):
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.env = {**os.environ, "REEFLINE_HOME": str(home), "REEFLINE_EVENTS_SECRET": SECRET,
                    "REEFLINE_CLICKHOUSE_URL": f"chdb://{home / 'ch'}"}  # fmt: skip
        self.start()

    def start(self):
        command = [sys.executable, "-m", "sensors.sink", "--port", str(self.port), "--body-limit", "3000000"]
        self.process = subprocess.Popen(command, env=self.env)
        self.wait(self.answers)

    def answers(self):
        try:
            return httpx.get(self.url + "health").status_code == 200
        except httpx.TransportError:
            return False

    def wait(self, done):
        deadline = time.monotonic() + 120
        while not done():
            assert self.process.poll() is None, "the sink ended"
            assert time.monotonic() < deadline, "the sink does not get there"
            time.sleep(0.1)

    def ready(self):
        return httpx.get(self.url + "ready").json()

    def send(self, body, **headers):
        return httpx.post(self.url, content=body, headers={**BEARER, **headers}, timeout=60)

    def stop(self):
        self.process.terminate()
        # The web server ends in order and then passes the signal on.
        assert self.process.wait(60) in (0, -signal.SIGTERM)


@pytest.fixture(scope="module")
def sink(tmp_path_factory):
    home = tmp_path_factory.mktemp("sink")
    made = Sink(home)
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait(20)


def python(sink, code):
    head = "from resources.clickhouse import ClickHouse\nimport os\n"
    body = f"with ClickHouse(os.environ['REEFLINE_CLICKHOUSE_URL']).session() as session:\n    {code}\n"
    done = subprocess.run([sys.executable, "-c", head + body], env=sink.env, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_only_who_knows_the_secret_may_send_as_token_or_as_password(sink):
    basic = base64.b64encode(f"vector:{SECRET}".encode()).decode()
    assert httpx.post(sink.url, content=b"").status_code == 401
    assert httpx.post(sink.url, content=b"", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert httpx.post(sink.url, content=b"", headers={"Authorization": f"Basic {basic}"}).status_code == 200


def test_malformed_lines_are_told_and_kept_aside_and_the_rest_is_taken(sink):
    answer = sink.send(lines(1) + b"\n{bad\n\xff\xff\n" + lines(2))
    assert answer.json()["accepted"] == 2
    assert answer.json()["rejected"] == 2
    assert answer.json()["reasons"][0].startswith("line 2: it is no JSON")


def test_an_array_and_gzip_are_taken_and_a_body_that_is_too_large_is_not(sink):
    array = b"[" + b",".join(json.dumps(event(n)).encode() for n in (3, 4)) + b"]"
    packed = sink.send(gzip.compress(array), **{"Content-Encoding": "gzip"})
    assert packed.json() == {"accepted": 2, "rejected": 0}
    assert sink.send(gzip.compress(array)[:-9], **{"Content-Encoding": "gzip"}).status_code == 400
    assert sink.send(b"x" * 3_000_001).status_code == 413
    assert sink.send(gzip.compress(b"x" * 3_000_001), **{"Content-Encoding": "gzip"}).status_code == 413
    large = json.dumps({**event(5), "payload": "x" * 2_000_000}).encode()
    assert sink.send(large).json()["rejected"] == 1


def test_without_tables_events_wait_and_nothing_is_lost_by_a_kill_or_doubled_by_sending_again(sink):
    """Runs after the tests above: what they sent waits, too. The database has no tables yet: it is 'away'."""
    sink.wait(lambda: "analytics migrate" in sink.ready()["clickhouse"])
    for start in range(100, 600, 50):
        assert sink.send(lines(*range(start, start + 50))).status_code == 200
    sink.process.send_signal(signal.SIGKILL)
    sink.process.wait(20)
    python(sink, "session.migrate()")
    sink.start()
    assert sink.send(lines(*range(550, 650))).status_code == 200  # the sender saw no answer, and sends again
    sink.wait(lambda: sink.ready()["waiting"] == 0)
    sink.stop()
    said = python(
        sink,
        "print(*session.query('SELECT count() AS n, uniqExact(payload) AS d FROM events').to_pylist()[0].values(), "
        "session.value('SELECT count() FROM event_rejects FINAL'), "
        "*session.query('SELECT sum(received) AS r, sum(duplicates) AS d, sum(unaccounted) AS u FROM event_intake')"
        ".to_pylist()[0].values())",
    )
    distinct = 4 + 550
    assert [int(float(n)) for n in said] == [distinct, distinct, 3, 4 + 3 + 600, 50, 0]


def test_a_sink_without_a_secret_does_not_start(tmp_path):
    env = {name: value for name, value in os.environ.items() if name != "REEFLINE_EVENTS_SECRET"}
    done = subprocess.run(
        [sys.executable, "-m", "sensors.sink"], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("sink: set REEFLINE_EVENTS_SECRET")
