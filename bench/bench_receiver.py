"""How fast the webhook receiver answers, and whether it keeps everything, at ten times a busy installation's rate.

The receiver is the real process; the sender is another process that sends at times fixed in advance and counts the
latency from the planned time, so that a receiver that stalls is charged for everything that waits behind it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.deliveries import CONNECTIONS, nth_delivery
from bench.postgres import NoPostgresError, Postgres
from bench.receiver_process import ROOT, Receiver, running_receiver
from resources.inbox import Inbox
from resources.inbox.interpret import dedupe_key
from resources.inbox.tables import deliveries

RATE = 500
SECONDS = 60.0


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
    command = [sys.executable, "-m", "bench.deliveries"]
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
    try:
        with Postgres() as postgres:
            loads["postgres"] = measure(postgres.url())
    except NoPostgresError as error:
        print(f"{error}: its row is left out")
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
