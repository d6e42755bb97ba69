"""Tracks summed up for people: what happened at every site in every year, and how fast colonies grew."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.colonies.events import Event


@dataclass(frozen=True, slots=True)
class Growth:
    """How fast the colonies of a taxon grew, as the radius of a circle of their area, in millimetres a year.

    Attributes:
        pairs: colonies that could be measured twice; those cut by the frame cannot.
        median, low, high: the median and the middle half of the colonies.
    """

    taxon: str
    pairs: int
    median: float
    low: float
    high: float


def events_by_year(tracks: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[tuple[str, int, list[int]]]]:
    """The events that occur, in their order, and for every site and year how often each did."""
    counts = Counter((row["site"], row["year"], row["event"]) for row in tracks)
    events = [event.value for event in Event if any(key[2] == event for key in counts)]
    places = sorted({key[:2] for key in counts})
    return events, [(site, year, [counts[site, year, event] for event in events]) for site, year in places]


def growth(tracks: Sequence[Mapping[str, Any]]) -> list[Growth]:
    """Growth by taxon, the taxa with the most colonies first."""
    rates: defaultdict[str, list[float]] = defaultdict(list)
    for row in tracks:
        if row["radial_mm_per_year"] is not None:
            rates[row["taxon"]].append(row["radial_mm_per_year"])
    found = []
    for taxon, values in sorted(rates.items(), key=lambda item: (-len(item[1]), item[0])):
        low, median, high = (float(v) for v in np.percentile(values, [25, 50, 75]))
        found.append(Growth(taxon, len(values), median, low, high))
    return found
