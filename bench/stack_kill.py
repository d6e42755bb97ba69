"""The whole stack on Postgres with the demo through it, while every process of it is killed once, Postgres too.

Kills fall where work is going on: each waits for the pipeline to have got one step further than at the last.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from bench.postgres import Postgres
from deploy.local.runtime import prepare
from deploy.local.services import services
from deploy.local.supervisor import Supervisor
from labels.manifest import Status
from resources.bundle import make_cvat
from resources.inbox import Inbox
from resources.inbox.tables import deliveries
from resources.object_store import LocalStore, StoreError
from resources.releases import release_key
from resources.tables import BatchTables

ROOT = Path(__file__).resolve().parents[1]
GATES = ("corners", "lattice", "corals")
STAGES = ("images/raw", "corners/review", "images/rectified", "lattice/review", "corals/review")
"""Before each kill, the first batch has got so far."""
VICTIMS = ("daemon", "code", "web", "receiver", "postgres")
RUN = """
import sys
from pathlib import Path
from rich.console import Console
from deploy.local.demo.photos import SampleSize
from deploy.local.demo.run import DemoOptions, run_demo
url = sys.argv[2]
places = {"REEFLINE_DAGSTER_URL": url, "REEFLINE_INBOX_URL": url}
size = SampleSize(*map(int, sys.argv[3:]))
run_demo(DemoOptions(Path(sys.argv[1]), size=size, settings=places, web=True), Console())
"""
PATIENCE_S = 900.0


@dataclass(slots=True)
class Outcome:
    """What was left. Everything but the first attributes must be empty."""

    photos: int = 0
    released: int = 0
    seconds: float = 0.0
    killed: list[str] = field(default_factory=list)
    doubled_tasks: list[str] = field(default_factory=list)
    missing_tasks: list[str] = field(default_factory=list)
    doubled_rows: list[str] = field(default_factory=list)
    lost_rows: list[str] = field(default_factory=list)
    unanswered: int = 0

    @property
    def doubled(self) -> int:
        """CVAT tasks and rows that are there twice."""
        return len(self.doubled_tasks) + len(self.doubled_rows)

    @property
    def lost(self) -> int:
        """Pictures that are not in the release, tasks and rows that are missing, events that nobody answered."""
        return self.photos - self.released + len(self.missing_tasks) + len(self.lost_rows) + self.unanswered


class Stack:
    """A demo as a process of its own, on a Postgres that can be stopped."""

    def __init__(self, folder: Path, postgres: Postgres, size: tuple[int, int, int]) -> None:
        """Nothing runs yet."""
        self.folder, self.postgres, self.size = folder, postgres, size
        self.url = postgres.new_database()
        self.home = folder / "demo" / "home"
        self.tables = BatchTables(LocalStore(self.home / "store"))
        self.log = folder / "demo.log"
        self.process: Any = None

    def start(self) -> None:
        """Start the demo, or take it up."""
        clean = {n: v for n, v in os.environ.items() if not n.startswith(("REEFLINE_", "DAGSTER_"))}
        command = [sys.executable, "-c", RUN, str(self.folder / "demo"), self.url, *map(str, self.size)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env={**clean, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log
            )

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait while the demo runs; the condition's value."""
        deadline = time.monotonic() + PATIENCE_S
        while not (value := condition()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"waited for {what} in vain:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.2)
        return value

    def reached(self, stage: str) -> bool:
        """Whether a batch has got so far."""
        try:
            return bool(self.tables.batches(stage))
        except StoreError:
            return False

    def kill(self, victim: str) -> None:
        """SIGKILL a process as it is; stop Postgres as if the power failed, and let it be away for a moment."""
        if victim == "postgres":
            self.postgres.stop(signal.SIGQUIT)
            time.sleep(5)
            self.postgres.start()
            return
        self.wait_for(lambda: self._pid(victim), f"{victim} to run")
        os.kill(self._pid(victim) or 0, signal.SIGKILL)

    def _pid(self, name: str) -> int | None:
        try:
            pid = json.loads((self.home / "pids" / f"{name}.json").read_text(encoding="utf-8"))["pid"]
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return pid if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE else None

    def finish(self) -> dict[str, Any]:
        """Wait for its end; its summary."""
        code = self.process.wait(PATIENCE_S)
        if code:
            raise RuntimeError(f"the demo ended with {code}:\n{self.log.read_text(errors='replace')[-3000:]}")
        return json.loads((self.folder / "demo" / "summary.json").read_text(encoding="utf-8"))

    def stop(self) -> None:
        """End it, whatever it does."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def cvat_tasks(self) -> list[str]:
        """Names of all tasks in its CVAT."""
        places = {"REEFLINE_DAGSTER_URL": self.url, "REEFLINE_INBOX_URL": self.url}
        installation = prepare(self.home, self.folder / "demo" / "surveys", places)
        with Supervisor(installation.home) as supervisor:
            [sandbox] = [s for s in services(installation, web=False) if s.name == "sandbox"]
            supervisor.start(sandbox)
            supervisor.wait_ready("sandbox")
            return make_cvat(installation.settings).task_names()


def kill_all(folder: Path, postgres: Postgres, size: tuple[int, int, int] = (1, 2, 2)) -> Outcome:
    """Run the demo with a kill of each process; what is left of it in the end."""
    stack, started = Stack(folder, postgres, size), time.monotonic()
    outcome = Outcome(photos=size[0] * size[1] * size[2])
    stack.start()
    try:
        for victim, stage in zip(VICTIMS, STAGES, strict=True):
            stack.wait_for(lambda stage=stage: stack.reached(stage), stage)
            stack.kill(victim)
            outcome.killed.append(f"{victim} at {stage}")
        summary = stack.finish()
    finally:
        stack.stop()
    outcome.seconds = time.monotonic() - started
    _judge(stack, summary, outcome)
    return outcome


def _judge(stack: Stack, summary: dict[str, Any], outcome: Outcome) -> None:
    batches = summary["batches"]
    expected = {f"{batch}.{gate}" for batch in batches for gate in GATES}
    names = stack.cvat_tasks()
    outcome.doubled_tasks = sorted({name for name in names if names.count(name) > 1} | (set(names) - expected))
    outcome.missing_tasks = sorted(expected - set(names))
    for stage in (*STAGES, *(f"{gate}/reviewed" for gate in GATES)):
        per_batch = {batch: stack.tables.manifest(stage, batch) for batch in batches}
        ids = [row.image_id for rows in per_batch.values() for row in rows]
        outcome.doubled_rows += [f"{stage}: {name}" for name in sorted({i for i in ids if ids.count(i) > 1})]
        good = sum(row.status in (Status.OK, Status.SKIPPED) for rows in per_batch.values() for row in rows)
        outcome.lost_rows += [f"{stage}: {outcome.photos - good}"] if good != outcome.photos else []
    release = json.loads(stack.tables.store.get(release_key(summary["release"]["name"], "release.json")))
    outcome.released = release["counts"]["images"]
    inbox = Inbox(stack.url)
    with inbox.engine.connect() as connection:
        waiting = sa.select(sa.func.count()).where(deliveries.c.state.in_(("pending", "dead")))
        outcome.unanswered = int(connection.execute(waiting).scalar_one())
        keys = [key for (key,) in connection.execute(sa.select(deliveries.c.dedupe_key))]
    outcome.doubled_rows += ["inbox"] * (len(keys) - len(set(keys)))
