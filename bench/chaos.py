"""A storm over the events' way: deliveries dropped, doubled and reordered, receiver and consumer killed many times.

What people do, what is lost of it and where a kill falls in the order of deliveries come from the seed; the moment
within a transaction that a kill hits is the operating system's. Three phases: all jobs are completed, some are
reopened, those are completed again. Each ends with a reconciliation, as every quarter of an hour does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from bench.bench_receiver import HOST, ROOT, START, Receiver, cvat_date, exchange, http_request, update_job
from resources.inbox import DueReview, Inbox, JobState
from resources.inbox.interpret import job_state
from sensors.reconcile import reconcile

AT_ONCE = timedelta(0)
"""No event of this world is left to the next comparison: it is over before."""

GATE = "corals"
CONNECTIONS = 8
PACE_S = 0.006
"""Between two deliveries, so that the consumer works in between."""
RUN_S = 0.04
"""What a run takes; long enough for a kill to fall into it."""


@dataclass(frozen=True, slots=True)
class Storm:
    """How bad it is."""

    seed: int = 1
    reviews: int = 200
    jobs: int = 5
    reopened: int = 40
    late: int = 15
    share: float = 0.1
    kills: int = 20


@dataclass(frozen=True, slots=True)
class Step:
    """One moment: something happens in CVAT, something is delivered, or both."""

    body: dict[str, Any]
    happens: bool
    sent: bool


@dataclass(slots=True)
class Outcome:
    """What was left of it. Everything but the first line of attributes must be empty or 0."""

    transitions: int = 0
    dropped: int = 0
    doubled_sendings: int = 0
    reordered: int = 0
    unanswered: int = 0
    healed: list[int] = field(default_factory=list)
    receiver_kills: int = 0
    consumer_kills: int = 0
    runs: int = 0
    runs_killed: int = 0
    not_collected: dict[str, int] = field(default_factory=dict)
    collected_too_often: dict[str, int] = field(default_factory=dict)
    keys_used_twice: list[str] = field(default_factory=list)
    open_reviews: list[str] = field(default_factory=list)
    unanswered_rows: int = 0
    healed_at_last: int = 0

    @property
    def lost_events(self) -> int:
        """Completions that no run collected, and what one more reconciliation still finds."""
        return sum(self.not_collected.values()) + len(self.open_reviews) + self.unanswered_rows + self.healed_at_last

    @property
    def doubled(self) -> int:
        """Runs that a completion got beyond its one."""
        return sum(self.collected_too_often.values()) + len(self.keys_used_twice)

    def summary(self) -> str:
        """For people."""
        return (
            f"{self.transitions} transitions, {self.dropped} dropped, {self.doubled_sendings} doubled, {self.reordered}"
            f" reordered, {self.unanswered} cut off by kills; receiver killed {self.receiver_kills}x, consumer "
            f"{self.consumer_kills}x (within a run: {self.runs_killed}x); {self.runs} runs; reconciliations healed "
            f"{'+'.join(map(str, self.healed))}, then {self.healed_at_last}"
        )


class World:
    """CVAT's true job states. Answers like ``CvatClient`` where reconciliation asks it."""

    def __init__(self, storm: Storm) -> None:
        """All jobs are new."""
        self._known: dict[int, dict[int, JobState]] = {}
        for task in range(1, storm.reviews + 1):
            jobs = [task * 100 + n for n in range(storm.jobs)]
            self._known[task] = {n: JobState(n, task, "annotation", "new", "annotation", None, START) for n in jobs}

    def happens(self, body: dict[str, Any]) -> None:
        """A job is now as a payload says."""
        job = job_state(body["job"])
        if job is None:
            raise ValueError("not a job's payload")
        self._known[job.task_id][job.job_id] = job

    def jobs(self, task_id: int) -> list[JobState]:
        """The task's jobs, by id."""
        return [self._known[task_id][number] for number in sorted(self._known[task_id])]

    def jobs_since(self, when: datetime) -> list[JobState]:
        """All jobs that were changed at ``when`` or later."""
        return [job for jobs in self._known.values() for job in jobs.values() if job.updated_date >= when]


class Planner:
    """Makes the steps of all phases from the seed."""

    def __init__(self, storm: Storm, outcome: Outcome) -> None:
        """Nothing is planned yet."""
        self.storm, self.outcome = storm, outcome
        self.random = random.Random(storm.seed)
        self.when = START
        reviews = range(1, storm.reviews + 1)
        self.reopened = self.random.sample(reviews, storm.reopened)
        self.late = self.random.sample(reviews, storm.late)

    def phases(self) -> list[list[Step]]:
        """What happens and what is delivered, in order."""
        everything = [
            (task, task * 100 + n) for task in range(1, self.storm.reviews + 1) for n in range(self.storm.jobs)
        ]
        again = [
            (task, task * 100 + n) for task in self.reopened for n in self.random.sample(range(self.storm.jobs), 2)
        ]
        phases = [
            self._truth(everything, "new", "completed"),
            self._truth(again, "completed", "in progress"),
            self._truth(again, "in progress", "completed"),
        ]
        return self._disturbed(phases)

    def _truth(self, jobs: Sequence[tuple[int, int]], before: str, after: str) -> list[Step]:
        """Every job is saved once without news, and changes its state; in any order over all jobs."""
        steps = []
        for task, job in self.random.sample(jobs, len(jobs)):
            for state in (before, after):
                last, self.when = self.when, self.when + timedelta(milliseconds=self.random.randint(1, 900))
                steps.append(Step(self._told(task, job, (before, state), (last, self.when)), True, True))
        return steps

    def _told(self, task: int, job: int, states: tuple[str, str], dates: tuple[datetime, datetime]) -> dict[str, Any]:
        """A payload; of every third task in the newest dialect, which does not say what changed."""
        before: dict[str, Any] = {"updated_date": cvat_date(dates[0])}
        if states[0] != states[1]:
            before["state"] = states[0]
        body = update_job(job, task, states[1], dates[1], before, padding=0)
        if task % 3 == 0:
            del body["before_update"]
        return body

    def _disturbed(self, phases: list[list[Step]]) -> list[list[Step]]:
        """Drop, double and reorder; what is moved may arrive phases later."""
        made: list[list[tuple[float, Step]]] = [[] for _ in phases]
        for number, steps in enumerate(phases):
            for place, step in enumerate(steps):
                fate = self.random.random() / self.storm.share
                self.outcome.transitions += place % 2
                if fate < 1:
                    self.outcome.dropped += 1
                elif fate < 2:
                    self.outcome.doubled_sendings += 1
                elif fate < 3:
                    self.outcome.reordered += 1
                made[number].append((float(place), Step(step.body, True, fate >= 1 and not 2 <= fate < 3)))
                if 1 <= fate < 3:
                    to, at = self._later(number, place, phases)
                    made[to].append((at, Step(step.body, False, True)))
        return [[step for _, step in sorted(phase, key=lambda item: item[0])] for phase in made]

    def _later(self, phase: int, place: int, phases: Sequence[Sequence[Step]]) -> tuple[int, float]:
        if self.random.random() < 0.2 and phase + 1 < len(phases):
            to = self.random.randrange(phase + 1, len(phases))
            return to, self.random.uniform(0, len(phases[to]))
        return phase, place + self.random.uniform(1, 300)


# The consumer: stands for Dagster's daemon and its runs, in a process of its own


def run_key(review: DueReview) -> str:
    """As ``sensors.reviews.collect_request`` makes it; repeated here to keep Dagster's import out of every restart."""
    return f"collect:{review.key}"


class Journal:
    """What runs have done, a line each, in a file that outlives its writer."""

    def __init__(self, path: Path) -> None:
        """Append to ``path``."""
        self.path = path

    def write(self, what: str, key: str) -> None:
        """One line, in one system call."""
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, f"{json.dumps([what, key])}\n".encode())
        finally:
            os.close(handle)

    def read(self) -> list[tuple[str, str]]:
        """All lines."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        return [(what, key) for what, key in map(json.loads, lines)]

    def unfinished(self) -> list[str]:
        """Runs that were created and have not ended, oldest first."""
        lines = self.read()
        ended = {key for what, key in lines if what == "ended"}
        return [key for what, key in lines if what == "created" and key not in ended]


def consume(inbox_url: str, path: Path) -> None:
    """Look at the inbox, create a run for what is due unless its key was used, and take up runs a kill cut off."""
    inbox, journal = Inbox(inbox_url), Journal(path)
    journal.write("consumer", str(os.getpid()))
    while True:
        try:
            for key in journal.unfinished():
                _run(inbox, journal, key)
            inbox.interpret_new()
            used = {key for what, key in journal.read() if what == "created"}
            for key in [run_key(review) for review in inbox.due()]:
                if key not in used:
                    journal.write("created", key)
                    _run(inbox, journal, key)
        except SQLAlchemyError as error:
            print(f"the tick failed, as one in Dagster would: {error}", file=sys.stderr)
        time.sleep(0.05)


def _run(inbox: Inbox, journal: Journal, key: str) -> None:
    _, batch, gate, last_id = key.split(":")[:4]
    time.sleep(RUN_S)
    inbox.mark_done(batch, gate, int(last_id), key)
    journal.write("ended", key)


class Consumer:
    """The consumer's process, which a thread kills at random."""

    patience_s = 120.0

    def __init__(self, inbox_url: str, journal: Journal, seed: int) -> None:
        """Not started."""
        self.inbox_url, self.journal = inbox_url, journal
        self.random = random.Random(seed)
        self.kills = self.kills_in_runs = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        """Start it; it is not waited for."""
        command = [sys.executable, "-m", "bench.chaos", self.inbox_url, str(self.journal.path)]
        with self.journal.path.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        """End it abruptly."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def kill_and_restart(self, times: int) -> None:
        """Kill it that often after it has begun to work: at random moments, every other time in the middle of a run."""
        while self.kills < times and not self._stop.is_set():
            started = ("consumer", str(self.process.pid if self.process else 0))
            while started not in self.journal.read() and not self._stop.wait(0.05):
                pass
            self._stop.wait(self.random.uniform(0.0, 0.8))
            deadline = time.monotonic() + 10.0 * (self.kills % 2)
            while time.monotonic() < deadline and not self.journal.unfinished() and not self._stop.wait(0.003):
                pass
            self.kill()
            self.kills += 1
            self.kills_in_runs += bool(self.journal.unfinished())
            self.start()

    def stop(self) -> None:
        """End the killing too."""
        self._stop.set()
        self.kill()


# The storm itself


class Sky:
    """Delivers steps to the receiver over a few connections, and kills it in between."""

    def __init__(self, receiver: Receiver, world: World, outcome: Outcome, seed: int) -> None:
        """Nothing is sent yet."""
        self.receiver, self.world, self.outcome = receiver, world, outcome
        self.random = random.Random(seed)
        self._up = asyncio.Event()

    async def deliver(self, steps: Sequence[Step], kill_at: set[int], half: Any) -> None:
        """Let everything happen and deliver what is delivered; ``half`` is called halfway."""
        self._up = asyncio.Event()
        self._up.set()
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(CONNECTIONS)
        async with asyncio.TaskGroup() as workers:
            for _ in range(CONNECTIONS):
                workers.create_task(self._work(queue))
            await self._feed(queue, steps, kill_at, half)
            for _ in range(CONNECTIONS):
                await queue.put(None)

    async def _feed(
        self, queue: asyncio.Queue[dict[str, Any] | None], steps: Sequence[Step], kill_at: set[int], half: Any
    ) -> None:
        for number, step in enumerate(steps):
            if number == len(steps) // 2:
                await asyncio.to_thread(half)
            if step.happens:
                self.world.happens(step.body)
            if step.sent:
                await queue.put(step.body)
                await asyncio.sleep(PACE_S)
            if number in kill_at:
                await self._kill(queue, step.body)

    async def _kill(self, queue: asyncio.Queue[dict[str, Any] | None], body: dict[str, Any]) -> None:
        """Kill the receiver while it works on a few copies of an event, and start it anew."""
        for _ in range(3):
            await queue.put(body)
        await asyncio.sleep(self.random.uniform(0, 0.01))
        self._up.clear()
        self.receiver.end()
        self.outcome.receiver_kills += 1
        await asyncio.to_thread(self.receiver.start)
        self._up.set()

    async def _work(self, queue: asyncio.Queue[dict[str, Any] | None]) -> None:
        stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while (body := await queue.get()) is not None:
            request = http_request(json.dumps(body).encode(), self.receiver.secret)
            for _ in range(2):
                try:
                    stream = stream or await asyncio.open_connection(HOST, self.receiver.port)
                    if await asyncio.wait_for(exchange(*stream, request), 10) < 500:
                        break
                except (OSError, EOFError, TimeoutError):
                    stream = None
                self.outcome.unanswered += 1
                await self._up.wait()
                if self.random.random() < 0.5:  # a CVAT before 2.68 does not try again
                    break


def blow(
    storm: Storm, inbox_url: str = "", make_consumer: Callable[[str, Path, Storm], Consumer] | None = None
) -> Outcome:
    """Let the storm pass; what was left. ``make_consumer``: of inbox, folder and storm; else the one of this module."""
    with tempfile.TemporaryDirectory(prefix="reefline-chaos-") as name:
        folder = Path(name)
        url = inbox_url or f"sqlite:///{folder / 'inbox.db'}"
        outcome = Outcome()
        planner = Planner(storm, outcome)
        phases = planner.phases()
        world, inbox = World(storm), Inbox(url)
        inbox.writable()
        make = make_consumer or (lambda url, folder, storm: Consumer(url, Journal(folder / "journal"), storm.seed))
        with _processes(Receiver(folder, url), make(url, folder, storm), storm.kills) as (receiver, consumer):
            journal = consumer.journal
            sky = Sky(receiver, world, outcome, storm.seed)
            _register(inbox, world, [t for t in range(1, storm.reviews + 1) if t not in planner.late])
            kills = _kill_places(planner.random, phases, storm.kills)
            for number, steps in enumerate(phases):
                halfway = _halfway(number, inbox, world, planner.late, outcome)
                asyncio.run(sky.deliver(steps, kills[number], halfway))
                outcome.healed.append(reconcile(world, inbox, grace=AT_ONCE).healed)  # type: ignore[arg-type]
                _settle(inbox, consumer)
            _wait(lambda: consumer.kills >= storm.kills, "the kills of the consumer", consumer.patience_s)
            _settle(inbox, consumer)
            outcome.consumer_kills, outcome.runs_killed = consumer.kills, consumer.kills_in_runs
            outcome.healed_at_last = reconcile(world, inbox, grace=AT_ONCE).healed  # type: ignore[arg-type]
            _settle(inbox, consumer)
        return _judged(outcome, inbox, journal, planner)


@contextlib.contextmanager
def _processes(receiver: Receiver, consumer: Consumer, kills: int) -> Iterator[tuple[Receiver, Consumer]]:
    try:
        receiver.start()
        consumer.start()
        killer = threading.Thread(target=consumer.kill_and_restart, args=(kills,), daemon=True)
        killer.start()
        yield receiver, consumer
    finally:
        consumer.stop()
        receiver.end()
        killer.join(10)
        consumer.kill()


def _halfway(phase: int, inbox: Inbox, world: World, late: Sequence[int], outcome: Outcome) -> Any:
    """In the first phase reviews are registered after their first events, and a reconciliation comes in between."""

    def act() -> None:
        if phase == 0:
            _register(inbox, world, late)
            outcome.healed.append(reconcile(world, inbox, grace=AT_ONCE).healed)  # type: ignore[arg-type]

    return act


def _register(inbox: Inbox, world: World, tasks: Sequence[int]) -> None:
    for task in tasks:
        inbox.register_review(batch_of(task), GATE, task, f"https://cvat.example.org/tasks/{task}", world.jobs(task))


def batch_of(task: int) -> str:
    """The batch that a task is the review of."""
    return f"reef.{task:04d}"


def _kill_places(chance: random.Random, phases: Sequence[Sequence[Step]], kills: int) -> list[set[int]]:
    places = [(phase, place) for phase, steps in enumerate(phases) for place in range(len(steps))]
    chosen = chance.sample(places, kills)
    return [{place for phase, place in chosen if phase == number} for number in range(len(phases))]


def _settle(inbox: Inbox, consumer: Consumer) -> None:
    """Wait until the consumer has nothing to do any more."""

    def idle() -> bool:
        fresh = sum(number for (_, state), number in inbox.counts().items() if state == "new")
        return not fresh and not inbox.due() and not consumer.journal.unfinished()

    _wait(idle, "the consumer", consumer.patience_s)


def _wait(condition: Any, what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited too long for {what}")
        time.sleep(0.1)


def _judged(outcome: Outcome, inbox: Inbox, journal: Journal, planner: Planner) -> Outcome:
    """Compare the runs with what people completed."""
    created = Counter(key for what, key in journal.read() if what == "created")
    runs = Counter(key.split(":")[1] for key in created)
    outcome.runs = len(created)
    outcome.keys_used_twice = [key for key, times in created.items() if times > 1]
    for task in range(1, planner.storm.reviews + 1):
        missing = 1 + (task in planner.reopened) - runs[batch_of(task)]
        if missing > 0:
            outcome.not_collected[batch_of(task)] = missing
        elif missing < 0:
            outcome.collected_too_often[batch_of(task)] = -missing
    outcome.open_reviews = [status.batch for status in inbox.reviews() if status.state != "collected"]
    outcome.unanswered_rows = sum(n for (_, state), n in inbox.counts().items() if state in ("new", "pending"))
    return outcome


if __name__ == "__main__":
    consume(sys.argv[1], Path(sys.argv[2]))
