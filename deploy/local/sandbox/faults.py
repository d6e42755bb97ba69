"""What may go wrong between CVAT and its receiver, on demand and the same each time, and the dialects of its versions.

Both settings are documents of the store, so that they outlive a restart.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from deploy.local.sandbox.store import Document, Store

REORDER_S = 1.0
"""An event that is held back goes out after the next one, or after this time."""
WAITS_S = (5.0, 300.0, 1800.0, 10800.0, 86400.0, 86400.0, 86400.0, 86400.0)
"""CVAT's own waits before it tries a failed delivery again."""
CLASSIC, RECENT = "2.54", "2026"


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one event."""

    drop: bool = False
    double: bool = False
    reorder: bool = False
    corrupt: bool = False


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances of the faults.

    Attributes:
        drop: the event is lost, without a delivery row, as when CVAT's Redis is down.
        double: it is sent twice.
        reorder: it is sent after the next one.
        corrupt: one byte of its body changes on the way, after it was signed.
        delay_s: how much later than usual every event is sent.
        seed: the same seed and the same events meet the same faults.
    """

    drop: float = 0.0
    double: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    delay_s: float = 0.0
    seed: int = 0

    def fate(self, number: int) -> Fate:
        """What happens to the event of this number (they are counted from when the faults were set)."""
        chance = random.Random(f"{self.seed}:{number}")  # noqa: S311 - no secret, a repeatable choice
        drawn = {name: chance.random() < getattr(self, name) for name in ("drop", "double", "reorder", "corrupt")}
        return Fate(**drawn)

    def flipped(self, body: bytes, number: int) -> bytes:
        """The body with one byte changed."""
        place = random.Random(f"{self.seed}:{number}:byte").randrange(len(body))  # noqa: S311 - as above
        return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a version of CVAT writes and repeats its webhooks.

    Attributes:
        name: ``2.54``, or ``2026`` for what its versions from 2.68 to 2.76 brought.
        retries: waits before a failed delivery is tried again; 2.54 tries once.
    """

    name: str = CLASSIC
    retries: list[float] = field(default_factory=list)

    @property
    def recent(self) -> bool:
        """Whether it is that of 2026."""
        return self.name == RECENT

    def payload(self, payload: Document) -> Document:
        """An event's body as this version writes it."""
        before = payload.get("before_update")
        if not self.recent or before is None:
            return payload
        kind = str(payload["event"]).rpartition(":")[2]
        after = payload[kind]
        return {**payload, "changes": {name: {"old": old, "new": after[name]} for name, old in before.items()}}

    def delivery(self, row: Document, attempt: int, duration_ms: int) -> Document:
        """A delivery row as this version keeps it."""
        if not self.recent:
            return row
        kept = {name: value for name, value in row.items() if name != "changed_fields"}
        return {**kept, "attempt": attempt, "request_duration": duration_ms}

    def wait_after(self, status: int, attempt: int) -> float | None:
        """Seconds until a delivery is tried again, ``None`` when it is not."""
        failed = status >= 500 or status in (408, 429)
        return self.retries[attempt - 1] if failed and attempt <= len(self.retries) else None


def faults_of(store: Store) -> Faults:
    """The faults in force."""
    kept = store.get("faults", 1) or {}
    return Faults(**{f.name: kept[f.name] for f in fields(Faults) if f.name in kept})


def set_faults(store: Store, body: Document) -> Document:
    """Put faults in force; what is not given is switched off.

    Raises:
        ValueError: for a fault that there is not, or a chance that is none.
    """
    unknown = body.keys() - {f.name for f in fields(Faults)}
    if unknown:
        raise ValueError(f"there is no fault {', '.join(sorted(unknown))}")
    given: dict[str, Any] = {n: int(value) if n == "seed" else float(value) for n, value in body.items()}
    wrong = [n for n, v in given.items() if n != "seed" and not 0 <= v <= (3600 if n == "delay_s" else 1)]
    if wrong:
        raise ValueError(f"{', '.join(sorted(wrong))}: a chance is from 0 to 1, a delay from 0 to 3600 s")
    counts = {"events": 0, "dropped": 0, "doubled": 0, "reordered": 0, "corrupted": 0}
    return store.put("faults", {"id": 1, **asdict(Faults(**given)), **counts})


def worker_stopped(store: Store) -> bool:
    """Whether CVAT's webhook worker is down: events wait in its queue, pings are still sent."""
    return bool((store.get("worker", 1) or {}).get("stopped"))


def next_fate(store: Store) -> tuple[Fate, int]:
    """Decide about the next event and count it; its number."""
    kept = store.get("faults", 1)
    if kept is None:
        return Fate(), 0
    number = kept["events"]
    fate = faults_of(store).fate(number)
    # What is lost can be nothing else.
    fate = Fate(drop=True) if fate.drop else fate
    for name, happened in (
        ("dropped", fate.drop),
        ("doubled", fate.double),
        ("reordered", fate.reorder),
        ("corrupted", fate.corrupt),
    ):
        kept[name] += happened
    store.put("faults", {**kept, "events": number + 1})
    return fate, number


def dialect_of(store: Store) -> Dialect:
    """The dialect in force."""
    kept = store.get("dialect", 1)
    return Dialect(kept["dialect"], kept["retries"]) if kept else Dialect()


def set_dialect(store: Store, name: str, retries: Any = None) -> Document:
    """Speak another dialect from now on; ``retries``: waits in seconds, those of CVAT when not given.

    Raises:
        ValueError: for a dialect that there is not, or waits that are not numbers.
    """
    if name not in (CLASSIC, RECENT):
        raise ValueError(f"there is no dialect {name!r}, only {CLASSIC} and {RECENT}")
    if isinstance(retries, str):
        retries = [part for part in retries.split(",") if part.strip()]
    usual = WAITS_S if name == RECENT else ()
    waits = [float(wait) for wait in (usual if retries is None else retries)]
    if any(not 0 <= wait < 10**7 for wait in waits):
        raise ValueError("a wait is a number of seconds")
    if waits and name == CLASSIC:
        raise ValueError(f"CVAT {CLASSIC} tries a delivery once: retries need the dialect {RECENT}")
    return store.put("dialect", {"id": 1, "dialect": name, "retries": waits})
