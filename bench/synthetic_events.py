"""Made-up events of a labelling campaign: 20 people, 90 days, in the proportions of CVAT's pages and server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from analytics.events import LANDING

PEOPLE, DAYS = 20, 90
PER_JOB = 3000
"""Events that a person makes in a job."""
START_MS = int(datetime(2026, 6, 1, 7, tzinfo=UTC).timestamp() * 1000)
SCOPES = (
    # scope, made by the server, share, mean duration in ms
    ("draw:object", False, 0.22, 9000),
    ("change:frame", False, 0.12, 1500),
    ("click:element", False, 0.16, 0),
    ("zoom:image", False, 0.14, 0),
    ("drag:object", False, 0.10, 1200),
    ("delete:object", False, 0.02, 0),
    ("save:job", False, 0.03, 400),
    ("load:job", False, 0.01, 1500),
    ("create:shapes", True, 0.11, 0),
    ("update:shapes", True, 0.08, 0),
    ("send:working_time", True, 0.01, 40000),
)
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36"


def days(number: int, seed: int = 1) -> Iterator[pa.Table]:
    """``number`` events, a table of ``LANDING`` for each day, in order of time."""
    rng = np.random.default_rng(seed)
    each = number // (PEOPLE * DAYS)
    made = np.zeros(PEOPLE, np.int64)
    for day in range(DAYS):
        last = day == DAYS - 1
        counts = np.full(PEOPLE, each)
        if last:
            counts[0] += number - each * PEOPLE * DAYS
        yield _day(rng, day, counts, made)
        made += counts


def _day(rng: np.random.Generator, day: int, counts: np.ndarray, made: np.ndarray) -> pa.Table:
    who = np.repeat(np.arange(PEOPLE), counts)
    size = len(who)
    gaps = rng.exponential(4500, size) + 50
    pauses = rng.random(size)
    gaps[pauses < 0.004] += rng.uniform(60_000, 400_000, int((pauses < 0.004).sum()))
    gaps[pauses < 0.0002] += 3_600_000
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    total = np.cumsum(gaps)
    t = START_MS + day * 86_400_000 + (total - np.repeat(total[first] - gaps[first], counts)).astype(np.int64)
    number = np.repeat(made, counts) + np.arange(size) - np.repeat(first, counts)
    job = (who + 1) * 100_000 + number // PER_JOB
    kind = rng.choice(len(SCOPES), size, p=[share for _, _, share, _ in SCOPES])
    server = np.array([s for _, s, _, _ in SCOPES])[kind]
    mean = np.array([m for *_, m in SCOPES])[kind]
    lasted = np.where(mean > 0, rng.exponential(1, size) * mean, 0).astype(np.uint32)
    order = np.argsort(t, kind="stable")
    who, t, job, kind, server, lasted = (a[order] for a in (who, t, job, kind, server, lasted))
    names = pa.array([f"annotator-{n}" for n in range(PEOPLE)])
    emails = pa.array([f"annotator-{n}@reef.example.org" for n in range(PEOPLE)])
    nothing = pa.nulls(size, pa.uint64())
    frames = kind == 1
    shapes = (kind == 8) | (kind == 9)
    columns = {
        "scope": pa.array([s for s, *_ in SCOPES]).take(pa.array(kind)),
        "obj_name": pa.array(np.where(shapes, "polygon", None), pa.string()),
        "obj_id": nothing,
        "obj_val": pa.nulls(size, pa.string()),
        "source": pa.array(["client", "server"]).take(pa.array(server.astype(np.int8))),
        "timestamp": pa.array(t, pa.timestamp("ms", "UTC")),
        "count": pa.array(np.where(frames | shapes, 1, 0), pa.uint32(), mask=~(frames | shapes)),
        "duration": pa.array(lasted),
        "project_id": pa.array((job // 400 % 6 + 1).astype(np.uint64)),
        "task_id": pa.array((job // 4).astype(np.uint64)),
        "job_id": pa.array(job.astype(np.uint64)),
        "user_id": pa.array((who + 1).astype(np.uint64)),
        "user_name": names.take(pa.array(who)),
        "user_email": emails.take(pa.array(who)),
        "org_id": nothing,
        "org_slug": pa.nulls(size, pa.string()),
        "payload": pa.array(_payloads(rng, kind, lasted), pa.string()),
        "access_token_id": nothing,
    }
    return pa.table(columns, schema=LANDING)


def _payloads(rng: np.random.Generator, kind: np.ndarray, lasted: np.ndarray) -> list[str]:
    """As CVAT has them: the server's name the request, the page's mostly nothing."""
    text = rng.bytes(16 * len(kind)).hex()
    ids = rng.integers(1, 50_000_000, len(kind))
    made = []
    for n, k in enumerate(kind.tolist()):
        if SCOPES[k][1]:
            h = text[32 * n : 32 * n + 32]
            request = f'"request":{{"id":"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}","user_agent":"{AGENT}"}}'
            said = f'"working_time":{lasted[n]}' if k == 10 else f'"shapes":[{{"id":{ids[n]}}}]'
            made.append(f"{{{said},{request}}}")
        elif k == 1:
            made.append(f'{{"from": {ids[n] % 250}, "to": {ids[n] % 250 + 1}}}')
        elif k == 0:
            made.append(f'{{"object_type":"shape","count":1,"label":{ids[n] % 40}}}')
        else:
            made.append("{}")
    return made
