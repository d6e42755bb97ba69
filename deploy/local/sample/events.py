"""The log of CVAT that people at work leave behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from deploy.local.sample.plan import OPEN, PEOPLE, PICTURES, Batch, Person, Review

LONGEST_PAUSE_S = 100


def events(batches: list[Batch], now: datetime) -> list[dict[str, Any]]:
    """Rows of the table ``events``: people in jobs, on other pages, the server's answers, a few exceptions."""
    random = Random(7)  # noqa: S311
    rows: list[dict[str, Any]] = []
    for batch in batches:
        for review in batch.reviews:
            for share, day in enumerate(review.work_days):
                rows += _session(random, review, day, share)
            rows += _states(review)
    open_reviews = [r for batch in batches for r in batch.reviews if r.state == OPEN and r.work_days]
    rows += _session(random, open_reviews[0], now - timedelta(minutes=14), 1, pictures=9)
    begin = min(batch.offered_at for batch in batches)
    for number in range((now - begin).days):
        rows += _elsewhere(random, begin.replace(hour=7, minute=20) + timedelta(days=number))
    return [row for row in rows if row["timestamp"] < now]


def _session(
    random: Random, review: Review, start: datetime, share: int, pictures: int = 0
) -> Iterator[dict[str, Any]]:
    """One sitting in a job: frame by frame, drawing and saving, with pauses to think and one for coffee."""
    at = start
    booked = 0.0
    todo = pictures or PICTURES // (2 if review.gate == "corals" else 1)
    yield _row(review, "load:job", at, duration=random.randrange(600, 2500))
    for frame in range(todo):
        left = review.seconds * random.lognormvariate(0, 0.35)
        at += timedelta(seconds=random.uniform(0.4, 2))
        yield _row(review, "change:frame", at, duration=random.randrange(180, 900), count=1)
        while left > 0:
            # Most pauses are short; once in a while somebody looks a genus up.
            pause = min(left, random.expovariate(1 / 7)) if random.random() > 0.04 else random.uniform(100, 260)
            drawing = random.uniform(2, 9) if review.gate == "corals" else random.uniform(0.5, 3)
            at += timedelta(seconds=pause)
            scope = random.choice(("draw:object", "click:element", "drag:object", "zoom:image", "edit:object"))
            yield _row(review, scope, at, duration=int(drawing * 1000) if scope == "draw:object" else 0)
            at += timedelta(seconds=drawing)
            left -= pause + drawing
            booked += (pause if pause < LONGEST_PAUSE_S else 0) + drawing
        if frame % 12 == 11:
            yield _row(review, "save:job", at, duration=random.randrange(300, 1500))
            yield from _booked(review, at, booked, twice=random.random() < 0.08)
            booked = 0.0
            at += timedelta(minutes=random.choice((0, 0, 0, 22, 45)))
    yield _row(review, "save:job", at, duration=900)
    yield from _booked(review, at, booked, twice=False)
    if pictures or (share == 0 and review.gate == "corals" and random.random() < 0.3):
        yield _exception(review, at, "Could not save annotations: Request failed with status code 504")


def _booked(where: Review | Person, at: datetime, seconds: float, *, twice: bool) -> Iterator[dict[str, Any]]:
    """What CVAT's server books for a batch of client events; a batch sent again is booked again."""
    ms = round(seconds * 1000)
    for request in range(2 if twice else 1):
        payload = json.dumps({"working_time": ms, "request": {"id": f"{at:%m%d%H%M%S}-{request}"}})
        yield _row(where, "send:working_time", at, source="server", duration=ms, count=1, payload=payload)


def _states(review: Review) -> Iterator[dict[str, Any]]:
    """The server's own lines: jobs that change state, shapes that are saved."""
    moments: list[tuple[datetime, str, str | None]] = [(review.asked_at, "create:job", None)]
    moments += [(day, "update:job", "in progress") for day in review.work_days[:1]]
    if review.collected_at:
        moments.append((review.collected_at - timedelta(minutes=6), "update:job", "completed"))
    for at, scope, value in moments:
        yield _row(review, scope, at, source="server", obj_name="state", obj_val=value)
    for day in review.work_days:
        yield _row(review, "create:shapes", day + timedelta(hours=1), source="server", count=PICTURES * 4)


def _elsewhere(random: Random, morning: datetime) -> Iterator[dict[str, Any]]:
    """Everybody opens CVAT, looks at the list of tasks and at mail; nobody does on Sundays."""
    if morning.weekday() == 6:
        return
    for person in PEOPLE:
        at = morning + timedelta(minutes=random.randrange(40))
        platform = {"platform": {"name": person.browser, "version": "146", "os": person.system}}
        yield _row(person, "load:cvat", at, duration=random.randrange(900, 3000), payload=json.dumps(platform))
        came = at
        for _ in range(random.randrange(1, 5)):
            at += timedelta(seconds=random.uniform(8, 80))
            yield _row(person, "click:element", at, obj_name="tasks-page")
        yield from _booked(person, came, (at - came).total_seconds(), twice=False)


def _exception(review: Review, at: datetime, message: str) -> dict[str, Any]:
    payload = json.dumps({"message": message, "stack": f"Error: {message}\n    at save (annotations.ts:214)"})
    return _row(review, "send:exception", at, payload=payload)


def _row(where: Review | Person, scope: str, at: datetime, source: str = "client", **more: Any) -> dict[str, Any]:
    person = where.person if isinstance(where, Review) else where
    inside = isinstance(where, Review)
    row: dict[str, Any] = {
        "scope": scope,
        "obj_name": None,
        "obj_id": None,
        "obj_val": None,
        "source": source,
        "timestamp": at,
        "count": None,
        "duration": 0,
        "project_id": where.project_id if inside else None,  # type: ignore[union-attr]
        "task_id": where.task_id if inside else None,  # type: ignore[union-attr]
        "job_id": where.job_id if inside else None,  # type: ignore[union-attr]
        "user_id": person.user_id,
        "user_name": person.name,
        "user_email": f"{person.name}@reef.example",
        "org_id": 1,
        "org_slug": "reef",
        "payload": None,
        "access_token_id": None,
    }
    return row | more
