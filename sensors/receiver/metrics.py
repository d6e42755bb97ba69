"""The receiver's figures in Prometheus' text format: what it has answered, how fast, and how the inbox stands."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from resources.inbox import Inbox

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""CVAT waits 10 s for an answer."""


class Metrics:
    """Counts since the start. For one event loop."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.outcomes: Counter[str] = Counter()
        self._buckets = [0] * (len(BOUNDS_S) + 1)
        self._seconds = 0.0
        self.last_delivery = 0.0

    def answered(self, outcome: str, seconds: float) -> None:
        """A request has been answered."""
        self.outcomes[outcome] += 1
        self._buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self._seconds += seconds
        if outcome in ("accepted", "duplicate"):
            self.last_delivery = datetime.now(UTC).timestamp()

    def text(self, inbox: Inbox | None) -> str:
        """All figures; those of the inbox are left out where it cannot be read (``None``)."""
        lines = [*_family("reefline_receiver_requests_total", "counter", "Answered requests.", self._outcomes())]
        name = "reefline_receiver_answer_seconds"
        lines += [f"# HELP {name} Time until a request was answered.", f"# TYPE {name} histogram"]
        total = 0
        for bound, count in zip((*BOUNDS_S, "+Inf"), self._buckets, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        lines += [f"{name}_sum {self._seconds:.6f}", f"{name}_count {total}"]
        seen = {"": self.last_delivery}
        lines += _family("reefline_last_delivery_timestamp_seconds", "gauge", "When the last event came.", seen)
        lines += _family("reefline_inbox_up", "gauge", "Whether the inbox can be read.", {"": float(inbox is not None)})
        if inbox is not None:
            lines += _inbox(inbox)
        return "\n".join([*lines, ""])

    def _outcomes(self) -> dict[str, float]:
        return {f'{{outcome="{outcome}"}}': count for outcome, count in sorted(self.outcomes.items())}


def _inbox(inbox: Inbox) -> Iterable[str]:
    rows = {f'{{source="{source}",state="{state}"}}': n for (source, state), n in sorted(inbox.counts().items())}
    yield from _family("reefline_inbox_rows", "gauge", "Rows of the inbox.", rows)
    oldest = inbox.oldest_waiting()
    age = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
    help_text = "Age of the oldest row that no run has answered."
    yield from _family("reefline_inbox_oldest_waiting_seconds", "gauge", help_text, {"": age})
    counted: Counter[str] = Counter(review.gate for review in inbox.reviews("open"))
    reviews = {f'{{gate="{gate}"}}': count for gate, count in sorted(counted.items())}
    yield from _family("reefline_reviews_open", "gauge", "Reviews that wait for people.", reviews)


def _family(name: str, kind: str, help_text: str, values: Mapping[str, float]) -> list[str]:
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}", *(f"{name}{k} {v:g}" for k, v in values.items())]
