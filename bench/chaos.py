"""A storm over the events' way: deliveries dropped, doubled and reordered, receiver and consumer killed many times.

What people do, what is lost of it and where a kill falls in the order of deliveries come from the seed; the moment
within a transaction that a kill hits is the operating system's. Three phases: all jobs are completed, some are
reopened, those are completed again. Each ends with a reconciliation, as every quarter of an hour does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.chaos_consumer import Consumer, Journal
from bench.chaos_plan import Outcome, Planner, Step, Storm, World, batch_of
from bench.deliveries import exchange, http_request
from bench.receiver_process import Receiver
from deploy.local.loopback import HOST
from resources.inbox import Inbox
from sensors.reconcile import reconcile

AT_ONCE = timedelta(0)
"""No event of this world is left to the next comparison: it is over before."""

GATE = "corals"
CONNECTIONS = 8
PACE_S = 0.006
"""Between two deliveries, so that the consumer works in between."""


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
    """Let the storm pass; what was left. ``make_consumer``: of inbox, folder and storm; else :class:`Consumer`."""
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
