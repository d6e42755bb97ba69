"""Who works on which batch when: the story that all tables of the sample tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

GATES: Final = ("corners", "lattice", "corals")
PICTURES: Final = 60
TAXA: Final = ("Acropora", "Millepora", "Montipora", "Pocillopora", "Porites")
SITES: Final = ("Tiahura", "Vaipahu")

DONE, OPEN = "collected", "open"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works in CVAT. ``pace`` multiplies the seconds that a picture takes."""

    user_id: int
    name: str
    pseudonym: str
    pace: float
    care: float
    """Share of the ground truth that this person gets right."""
    browser: str
    system: str


PEOPLE: Final = (
    Person(11, "tehani", "Grouper", 0.85, 0.94, "Firefox", "Linux"),
    Person(12, "moana", "Parrotfish", 1.0, 0.91, "Chrome", "Windows"),
    Person(13, "louis", "Surgeonfish", 1.25, 0.88, "Chrome", "macOS"),
    Person(14, "ines", "Wrasse", 1.1, 0.93, "Edge", "Windows"),
)


@dataclass(frozen=True, slots=True)
class Model:
    """A version of the coral model, and how much it leaves to people."""

    version: str
    seconds: float
    """Of a person, per picture of the coral gate."""
    accepted: float
    reference: str


MODELS: Final = (
    Model("1.0.0", 290.0, 0.52, "reef-corals@1.0.0#3f6c21aa"),
    Model("1.1.0", 205.0, 0.66, "reef-corals@1.1.0#9d02b7c4"),
    Model("2.0.0", 140.0, 0.79, "reef-corals@2.0.0#c81e5540"),
)
SECONDS: Final = {"corners": 14.0, "lattice": 38.0}


@dataclass(frozen=True, slots=True)
class Review:
    """A batch at a gate: one task of CVAT."""

    survey: str
    year: int
    batch: str
    gate: str
    task_id: int
    job_id: int
    person: Person
    model: Model
    asked_at: datetime
    work_days: tuple[datetime, ...]
    """Mornings on which the person works on it."""
    state: str

    @property
    def project_id(self) -> int:
        """CVAT has a project per gate."""
        return 1 + GATES.index(self.gate)

    @property
    def collected_at(self) -> datetime | None:
        """When the answer was taken home."""
        return self.work_days[-1] + timedelta(hours=7, minutes=4) if self.state == DONE else None

    @property
    def seconds(self) -> float:
        """Of the person, per picture."""
        return self.person.pace * (self.model.seconds if self.gate == "corals" else SECONDS[self.gate])


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch and the day on which it was offered, with the reviews it has come to."""

    survey: str
    year: int
    key: str
    offered_at: datetime
    model: Model
    reviews: tuple[Review, ...]

    @property
    def done(self) -> bool:
        """All three gates are answered."""
        return len(self.reviews) == len(GATES) and all(review.state == DONE for review in self.reviews)


OFFERED: Final = {2024: (84, 80, 76), 2025: (64, 60, 56), 2026: (40, 34, 27, 20, 5, 4, 6, 0)}
"""Days ago, batch by batch."""

STANDS_AT: Final = {5: "corals", 6: "lattice", 7: "corners", 8: ""}
"""The gate at which a batch of this year waits: somebody is at work on the fifth; nobody has opened the seventh."""


def plan(now: datetime) -> list[Batch]:
    """The batches of three surveys over the last twelve weeks: two surveys finished, one in the middle of it."""
    random = Random(20260)  # noqa: S311 - a story, not a secret
    yesterday = now.astimezone(UTC).replace(hour=7, minute=30, second=0, microsecond=0) - timedelta(days=1)
    batches = []
    task = 100
    for (year, days), model in zip(OFFERED.items(), MODELS, strict=True):
        for number, day in enumerate(days, start=1):
            offered = yesterday - timedelta(days=day)
            stands_at = STANDS_AT.get(number) if year == max(OFFERED) else None
            reviews: list[Review] = []
            asked: datetime | None = offered
            for gate in GATES if stands_at != "" else ():
                if asked is None:
                    break
                task += 1
                reviews.append(_review(random, task, year, number, gate, asked, model, yesterday, stands_at == gate))
                asked = reviews[-1].collected_at
            batches.append(Batch(f"moorea-{year}", year, f"moorea-{year}.{number:04d}", offered, model, tuple(reviews)))
    return batches


def _review(random: Random, task: int, year: int, number: int, gate: str, asked: datetime, model: Model,
            yesterday: datetime, waits: bool) -> Review:  # fmt: skip
    person = PEOPLE[(number + GATES.index(gate)) % len(PEOPLE)]
    wait = 1 if year == max(OFFERED) or gate != "corals" else random.choice((1, 2, 3))
    first = asked.replace(hour=7, minute=30) + timedelta(days=wait, minutes=random.randrange(90))
    days = 2 if gate == "corals" else 1
    work = tuple(first + timedelta(days=day) for day in range(days))
    if waits:
        work = (yesterday,) if gate == "corals" else ()
    batch = f"moorea-{year}.{number:04d}"
    state = OPEN if waits else DONE
    return Review(f"moorea-{year}", year, batch, gate, task, task + 400, person, model, asked, work, state)
