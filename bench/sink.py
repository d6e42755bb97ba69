"""The event sink under load, its database away for a while: what is lost, what is doubled."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

RATE = 5000
"""Events a second."""
SECONDS = int(os.environ.get("BENCH_SINK_S", "60"))
POST = 250
"""Events in a request."""
AGAIN = 50
"""Every so many requests one is sent twice, as CVAT's logger does after a timeout."""
COUNT = """
import json, sys
from resources.clickhouse import ClickHouse
with ClickHouse(sys.argv[1]).session() as session:
    print(json.dumps(session.query(
        "SELECT count() AS n, uniqExact(payload) AS distinct, "
        "(SELECT sum(received) FROM event_loads FINAL) AS received, "
        "(SELECT sum(unaccounted) FROM event_intake) AS unaccounted FROM events").to_pylist()[0]))
"""


def sink_rows() -> list[dict[str, Any]]:
    """5,000 events a second over loopback, the database held by another process for a third of the time."""
    with tempfile.TemporaryDirectory(prefix="bench-sink-") as folder:
        home = Path(folder)
        url = f"chdb://{home / 'ch'}"
        _python("from resources.clickhouse import ClickHouse; import sys\n"
                "with ClickHouse(sys.argv[1]).session() as s: s.migrate()", url)  # fmt: skip
        with running_sink(home, url) as (address, secret):
            away = threading.Thread(target=_hold, args=(home / ".ch.lock", SECONDS / 3, SECONDS / 3))
            away.start()
            sent, seconds, refused = _send(address, secret)
            away.join()
            _wait_empty(address)
        found = json.loads(_python(COUNT, url))
    lost, doubled = sent - found["distinct"], found["n"] - found["distinct"]
    note = (
        f"{sent} events in {seconds:.0f} s ({sent / seconds:.0f} a second), the database away for {SECONDS / 3:.0f} s; "
        f"{refused} requests were refused and sent again; ledger: {found['received']} received, "
        f"{found['unaccounted']} unaccounted for"
    )
    return [
        {"name": "sink.lost", "value": lost, "unit": "events", "note": note},
        {"name": "sink.doubled", "value": doubled, "unit": "events", "note": f"1 request in {AGAIN} was sent twice"},
    ]


@contextmanager
def running_sink(home: Path, url: str) -> Any:
    """A sink process; its address and its secret."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    secret = secrets.token_hex(8)
    env = {**os.environ, "REEFLINE_HOME": str(home), "REEFLINE_CLICKHOUSE_URL": url, "REEFLINE_EVENTS_SECRET": secret}
    command = [sys.executable, "-m", "sensors.sink", "--port", str(port)]
    process = subprocess.Popen(command, env=env)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                if httpx.get(f"{address}/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield address, secret
    finally:
        process.terminate()
        process.wait(60)


def _send(address: str, secret: str) -> tuple[int, float, int]:
    """Events sent and acknowledged, seconds, refusals."""
    start, number, refused = time.perf_counter(), 0, 0
    now = time.time()
    with httpx.Client(headers={"Authorization": f"Bearer {secret}"}, timeout=30) as client:
        for request in range(RATE * SECONDS // POST):
            lines = []
            for _ in range(POST):
                event = {"scope": "draw:object", "source": "client", "timestamp": f"{now + number / RATE:.6f}",
                         "duration": 900, "user_id": number % 20 + 1, "user_name": f"a{number % 20}", "job_id": 7,
                         "task_id": 3, "project_id": 1, "payload": f'{{"n":{number}}}'}  # fmt: skip
                lines.append(json.dumps(event))
                number += 1
            body = "\n".join(lines).encode()
            for _ in range(1 + (request % AGAIN == 0)):
                while client.post(f"{address}/", content=body).status_code != 200:
                    refused += 1
                    time.sleep(0.5)
            ahead = start + number / RATE - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)
    return number, time.perf_counter() - start, refused


def _hold(lock: Path, after_s: float, for_s: float) -> None:
    """Keep the embedded database from everybody else, as a process that uses it does."""
    time.sleep(after_s)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        time.sleep(for_s)


def _wait_empty(address: str) -> None:
    state: dict[str, Any] = {}
    for _ in range(1200):
        state = httpx.get(f"{address}/ready").json()
        if state["waiting"] == 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f"the sink has not emptied its buffer within two minutes: {state}")


def _python(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
