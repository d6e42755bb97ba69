"""The storm's plan: how bad it is, what happens in CVAT, what is delivered of it and when, and what was left.

Everything here comes from the seed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bench.deliveries import START, cvat_date, update_job
from resources.inbox import JobState
from resources.inbox.interpret import job_state


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


def batch_of(task: int) -> str:
    """The batch that a task is the review of."""
    return f"reef.{task:04d}"
