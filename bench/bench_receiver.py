"""How fast the webhook receiver answers, and whether it keeps everything, at ten times a busy installation's rate.

The receiver is the real process; the sender is another process that sends at times fixed in advance and counts the
latency from the planned time, so that a receiver that stalls is charged for everything that waits behind it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import glob
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from resources.inbox import Inbox
from resources.inbox.interpret import dedupe_key
from resources.inbox.tables import deliveries
from sensors.receiver.signature import HEADER, sign

HOST = "127.0.0.1"
RATE = 500
SECONDS = 60.0
CONNECTIONS = 64
ANSWER_S = 10.0
"""CVAT gives up on an answer after that long."""
START = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[1]


# Deliveries as CVAT sends them


def update_job(
    job_id: int, task_id: int, state: str, updated: datetime, before: dict[str, Any], padding: int = 1750
) -> dict[str, Any]:
    """The body of an ``update:job`` delivery: the fields CVAT 2.54 was recorded with, and padding to about 3 KB."""
    cvat = "https://cvat.example.org/api"
    person = {"url": f"{cvat}/users/2", "id": 2, "username": "annotator", "first_name": "Zoë", "last_name": "Pérez"}
    job = {
        "url": f"{cvat}/jobs/{job_id}", "id": job_id, "task_id": task_id, "project_id": 2, "assignee": person,
        "guide_id": None, "dimension": "2d", "bug_tracker": "x" * padding, "status": "annotation",
        "stage": "annotation", "state": state, "mode": "annotation", "frame_count": 12, "start_frame": 0,
        "stop_frame": 11, "data_chunk_size": 72, "data_compressed_chunk_type": "imageset",
        "data_original_chunk_type": "imageset", "created_date": "2026-05-01T07:00:00.827979Z",
        "updated_date": cvat_date(updated), "issues": {"url": f"{cvat}/issues?job_id={job_id}", "count": 0},
        "labels": {"url": f"{cvat}/labels?job_id={job_id}"}, "type": "annotation", "organization": None,
        "target_storage": None, "source_storage": None, "assignee_updated_date": "2026-05-01T07:10:00.301667Z",
        "parent_job_id": None, "consensus_replicas": 0,
    }  # fmt: skip
    return {"job": job, "sender": person, "event": "update:job", "before_update": before, "webhook_id": 2}


def cvat_date(date: datetime) -> str:
    """A date as CVAT writes it, always with microseconds."""
    return date.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def nth_delivery(number: int) -> dict[str, Any]:
    """The delivery with this number; no two numbers give the same event. Every fifth is a job's completion."""
    updated = START + timedelta(milliseconds=number)
    before: dict[str, Any] = {"updated_date": cvat_date(updated - timedelta(seconds=30))}
    if number % 5 == 0:
        before["state"] = "in progress"
    return update_job(number % 997 + 1, number % 97 + 1, "completed", updated, before)


def http_request(body: bytes, secret: str, path: str = "/cvat/webhook") -> bytes:
    """A signed request as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: CVAT/2.54.1 python-requests/2.32.4\r\n"
        f"Content-Type: application/json\r\n{HEADER}: {sign(secret, body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


# The receiver


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Receiver:
    """The receiver as a process of its own; it can be killed and started again at the same address."""

    folder: Path
    inbox_url: str
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    port: int = field(default_factory=free_port)
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> Receiver:
        """Start it and wait until it can store."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("REEFLINE_")}
        env |= {"REEFLINE_HOME": str(self.folder), "REEFLINE_WEBHOOK_SECRET": self.secret}
        command = [sys.executable, "-m", "sensors.receiver", "--port", str(self.port), "--inbox-url", self.inbox_url]
        with (self.folder / "receiver.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.arguments], cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT
            )
        self._wait_ready(self.process)
        return self

    def _wait_ready(self, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(self.url + "/ready"):
                return
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the receiver does not answer: {(self.folder / 'receiver.log').read_text()[-800:]}")
            time.sleep(0.05)

    def end(self, number: int = signal.SIGKILL) -> None:
        """End it, abruptly unless asked otherwise."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(20)
            self.process = None


@contextlib.contextmanager
def running_receiver(inbox_url: str, folder: Path) -> Iterator[Receiver]:
    """A receiver over this inbox."""
    receiver = Receiver(folder, inbox_url)
    try:
        yield receiver.start()
    finally:
        receiver.end(signal.SIGTERM)


# Postgres


def postgres_program(name: str) -> str | None:
    """A program of Postgres' server: on the PATH, or where Debian hides it."""
    beside = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)  # noqa: PTH207 - absolute pattern
    return shutil.which(name) or next(iter(beside), None)


@contextlib.contextmanager
def running_postgres() -> Iterator[str | None]:
    """The URL of a throwaway Postgres on loopback that syncs to disk as in production; ``None`` without Postgres.

    ``initdb`` refuses to work as root, so root runs it as ``nobody``.
    """
    initdb, postgres = postgres_program("initdb"), postgres_program("postgres")
    if initdb is None or postgres is None:
        yield None
        return
    user: dict[str, Any] = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="reefline-pg-") as folder:
        if user:
            shutil.chown(folder, "nobody")
        data = str(Path(folder) / "db")
        make = [initdb, "-D", data, "-U", "reefline", "-A", "trust", "-E", "UTF8", "--no-sync"]
        if subprocess.run(make, cwd="/", capture_output=True, check=False, **user).returncode:
            yield None
            return
        serve = [postgres, "-D", data, "-p", str(port), "-c", f"listen_addresses={HOST}", "-k", folder]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(serve, cwd="/", stdout=log, stderr=log, **user)
        try:
            yield _answering(f"postgresql+psycopg2://reefline@{HOST}:{port}/postgres", process)
        finally:
            process.send_signal(signal.SIGINT)  # the fast way to stop; SIGTERM waits for every connection
            process.wait(30)


def _answering(url: str, process: subprocess.Popen[bytes]) -> str:
    engine = sa.create_engine(url)
    for _ in range(300):
        with contextlib.suppress(sa.exc.OperationalError), engine.connect():
            engine.dispose()
            return url
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError("Postgres does not answer")


# The sender, in a process of its own


class Sender:
    """Sends numbered deliveries at fixed times over keep-alive connections."""

    def __init__(
        self,
        port: int,
        secret: str,
        rate: float,
        seconds: float,
        *,
        connections: int = CONNECTIONS,
        make: Callable[[int], dict[str, Any]] = nth_delivery,
    ) -> None:
        """Nothing is sent before :meth:`send_all`. ``make``: the body of the delivery with a number."""
        self.port, self.secret, self.rate, self.number = port, secret, rate, int(rate * seconds)
        self.connections, self.make = connections, make
        self.latency_ms: list[float] = []
        self.late_ms: list[float] = []
        self.answered: dict[int, int] = {}

    async def send_all(self) -> None:
        """Send everything. Workers take the next delivery off a queue that the clock fills."""
        queue: asyncio.Queue[tuple[int, float, bytes] | None] = asyncio.Queue()
        workers = [asyncio.create_task(self._work(queue)) for _ in range(self.connections)]
        start = time.perf_counter() + 0.5
        for n in range(self.number):
            request = http_request(json.dumps(self.make(n)).encode(), self.secret)
            planned = start + n / self.rate
            wait = planned - time.perf_counter()
            if wait > 0 or n % 20 == 0:  # when behind, answers must still be read now and then
                await asyncio.sleep(max(0.0, wait))
            self.late_ms.append(1000 * max(0.0, time.perf_counter() - planned))
            queue.put_nowait((n, planned, request))
        for _ in workers:
            queue.put_nowait(None)
        await asyncio.gather(*workers)

    async def _work(self, queue: asyncio.Queue[tuple[int, float, bytes] | None]) -> None:
        stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while (item := await queue.get()) is not None:
            number, planned, request = item
            try:
                stream = stream or await asyncio.open_connection(HOST, self.port)
                self.answered[number] = await asyncio.wait_for(exchange(*stream, request), ANSWER_S)
            except (OSError, EOFError, TimeoutError):
                self.answered[number] = 0
                stream = None
            self.latency_ms.append(1000 * (time.perf_counter() - planned))


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Send one request over an open connection; the answer's status."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    await reader.readexactly(length)
    return int(head[9:12])


def sender_main() -> None:
    """Send, and print the figures as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("rate", type=float)
    parser.add_argument("seconds", type=float)
    asked = parser.parse_args()
    sender = Sender(asked.port, os.environ["BENCH_SECRET"], asked.rate, asked.seconds)
    asyncio.run(sender.send_all())
    used = time.process_time()
    figures = {"latency_ms": sender.latency_ms, "late_ms": sender.late_ms, "answered": sender.answered, "cpu_s": used}
    json.dump(figures, sys.stdout)


# The figures


@dataclass(frozen=True, slots=True)
class Load:
    """What a load has shown. ``lost``: answered 2xx and not in the inbox; ``missing``: sent and not in the inbox."""

    sent: int
    refused: int
    lost: int
    missing: int
    strange: int
    latency_ms: tuple[float, ...]
    sender_late_ms: float
    sender_cpu_s: float

    def percentile(self, share: float) -> float:
        """The latency that this share of deliveries stays below."""
        return self.latency_ms[min(len(self.latency_ms) - 1, int(share * len(self.latency_ms)))]


def measure(inbox_url: str, rate: float = RATE, seconds: float = SECONDS) -> Load:
    """Start a receiver over this inbox, send, and compare what was sent with what is kept."""
    with tempfile.TemporaryDirectory(prefix="reefline-bench-") as folder:
        place = inbox_url or f"sqlite:///{Path(folder) / 'inbox.db'}"
        with running_receiver(place, Path(folder)) as receiver:
            figures = _send(receiver, rate, seconds)
        kept = kept_keys(place)
    answered = {int(number): status for number, status in figures["answered"].items()}
    keys = {number: dedupe_key(nth_delivery(number)) for number in answered}
    good = {keys[number] for number, status in answered.items() if 200 <= status < 300}
    latency = tuple(sorted(figures["latency_ms"]))
    late = sorted(figures["late_ms"])
    return Load(
        sent=len(answered), refused=len(answered) - len(good), lost=len(good - set(kept)),
        missing=len(set(keys.values()) - set(kept)), strange=len(kept) - len(set(kept) & set(keys.values())),
        latency_ms=latency, sender_late_ms=late[int(0.99 * len(late))], sender_cpu_s=figures["cpu_s"],
    )  # fmt: skip


def _send(receiver: Receiver, rate: float, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-c", "from bench.bench_receiver import sender_main; sender_main()"]
    env = {**os.environ, "BENCH_SECRET": receiver.secret}
    done = subprocess.run(
        [*command, str(receiver.port), str(rate), str(seconds)], cwd=ROOT, env=env, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def kept_keys(inbox_url: str) -> list[str]:
    """Dedupe keys of every row in an inbox, repeated as often as they are there."""
    with Inbox(inbox_url).engine.connect() as connection:
        return [key for (key,) in connection.execute(sa.select(deliveries.c.dedupe_key))]


def rows() -> list[dict[str, Any]]:
    """One dict a figure; the Postgres row only where Postgres is."""
    loads = {"sqlite": measure("")}
    with running_postgres() as url:
        if url is None:
            print("no Postgres here (initdb, postgres): its row is left out")
        else:
            loads["postgres"] = measure(url)
    made = [_latency_row(name, load) for name, load in loads.items()]
    counts = "; ".join(f"{name}: {_counts(load)}" for name, load in loads.items())
    lost = sum(load.lost + load.missing + load.strange + load.refused for load in loads.values())
    return [*made, {"name": "receiver.lost", "value": lost, "unit": "deliveries", "note": f"{counts}; asked: 0"}]


def _counts(load: Load) -> str:
    return (
        f"{load.sent} sent, {load.refused} not answered 2xx, {load.lost} answered 2xx and not kept, "
        f"{load.missing} not kept at all, {load.strange} rows too many (by count and dedupe key)"
    )


def _latency_row(name: str, load: Load) -> dict[str, Any]:
    size = len(json.dumps(nth_delivery(0)))
    note = (
        f"{RATE}/s for {SECONDS:.0f} s, loopback, signed {size}-byte update:job bodies, open loop, latency from the "
        f"planned time; {CONNECTIONS} keep-alive connections; p50 {load.percentile(0.5):.1f} ms, max "
        f"{load.latency_ms[-1]:.0f} ms; sender p99 late {load.sender_late_ms:.1f} ms; {os.cpu_count()} cores shared "
        f"with the sender and the database; durable commit (fsync) before the answer; asked: < 50"
    )
    return {"name": f"receiver.p99_ms.{name}", "value": round(load.percentile(0.99), 1), "unit": "ms", "note": note}


if __name__ == "__main__":
    json.dump(rows(), sys.stdout, indent=2)
    sys.stdout.write("\n")
