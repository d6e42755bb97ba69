"""Deliveries as CVAT sends them, and a sender that keeps to times fixed in advance.

``python -m bench.deliveries PORT RATE SECONDS`` sends from a process of its own and prints what it saw as JSON; the
webhooks' secret is ``BENCH_SECRET``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.local.loopback import HOST
from sensors.receiver.signature import HEADER, sign

CONNECTIONS = 64
ANSWER_S = 10.0
"""CVAT gives up on an answer after that long."""
START = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)


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


if __name__ == "__main__":
    sender_main()
