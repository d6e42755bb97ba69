"""What became of every colony between two years, with how sure that is.

A confidence is a product of what speaks against an event, each factor 0..1: how much of the ground confirms the
registration, how much of the smaller outline lies in the larger, what competes for it, whether the taxon was renamed,
and for a change of size how far it is beyond the error of two outlines. It ranks events for a second look; it is no
measured frequency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import NormalDist

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from analytics.colonies.matching import CONTAINED, Link, Outline, kin, match
from analytics.colonies.registration import Registration
from labels.transforms import apply_homography

OUTLINE_CM = 0.1
"""How far two people's outlines of one edge lie apart: 2 pixels of a 1 m quadrat of 1920 pixels."""

SIGNIFICANT = 1.96
"""A change of size is one beyond this many standard deviations (95 %)."""

SMALL_CM2 = float(np.pi)
"""A colony of 2 cm across: from this size on people outline every colony; smaller ones are easily missed."""

UNREGISTERED_CM = 2.0
"""How far a frame may lie from where it was, when nothing tells."""

UNREGISTERED, EMPTY = 0.5, 0.5
"""Factors of confidence: without registration; and where a picture has no outline at all."""

PARTIAL_LOSS, PARTIAL_BORDER, PARTIAL_GAIN = 0.2, 0.25, 0.1
"""Partial mortality: at least this share of the colony is lost, at least this share of its border stayed, and it won no
more than this share. A colony that is drawn tighter, or shrinks as a whole, moves its border all around."""


class Event(StrEnum):
    """What became of a colony since the picture before."""

    FIRST = "first"
    """It is in the first picture that can be compared."""
    SURVIVED = "survived"
    """It is there, and its size has not changed beyond the error of outlines."""
    GREW = "grew"
    SHRANK = "shrank"
    PARTIAL_MORTALITY = "partial_mortality"
    SPLIT = "split"
    """Fission: it is one of the parts of a colony (``parents``); the part that shares most with it keeps its id."""
    FUSED = "fused"
    """Fusion: it is what several colonies (``parents``) became, under the id of the one it shares most with."""
    RECRUITED = "recruited"
    ENTERED = "entered_frame"
    """It stands where the picture before did not look."""
    DIED = "died"
    LEFT = "left_frame"
    ABSORBED = "absorbed"
    """Its ground belongs to the colony (``parents``) that it fused into."""
    UNRESOLVED = "unresolved"
    """Without registration it cannot be told which colony this is, or what became of it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one picture shows, in its own centimetres."""

    ground: shapely.Polygon
    outlines: Sequence[Outline]


@dataclass(frozen=True, slots=True)
class Change:
    """One event. Indices into the outlines of both years; ``None`` where the colony is not there.

    Attributes:
        parents: indices of the earlier outlines it comes from, the one whose id lives on first.
        cm2, radial_mm: growth since the picture before; radial as the change of the radius of a circle of its area.
        into: for an absorbed colony, the later outline.
    """

    event: Event
    earlier: int | None
    later: int | None
    confidence: float
    parents: tuple[int, ...] = ()
    cm2: float | None = None
    radial_mm: float | None = None
    into: int | None = None
    note: str | None = None


def changes(before: Sight, after: Sight, registration: Registration, parents: Mapping[str, str | None]) -> list[Change]:
    """What happened between two pictures of one quadrat.

    Args:
        registration: from centimetres of the earlier to those of the later picture.
        parents: taxon -> taxon one rank up.
    """
    return _Interval(before, after, registration, parents).changes()


class _Interval:
    def __init__(
        self, before: Sight, after: Sight, registration: Registration, parents: Mapping[str, str | None]
    ) -> None:
        self.registration, self.kinship = registration, parents
        move = _mover(registration)
        self.earlier = [replace(o, ground=_valid(shapely.transform(o.ground, move))) for o in before.outlines]
        self.later = list(after.outlines)
        self.common = shapely.transform(before.ground, move).intersection(after.ground)
        self.blur = registration.error_cm if registration.found else UNREGISTERED_CM
        self.links = match(self.earlier, self.later, parents, blur_cm=self.blur, registered=registration.found)
        # Where little finds its like, the frame lay further off than was thought, and nothing is sure.
        alike = 2 * len(self.links) / max(len(self.earlier) + len(self.later), 1)
        self.trust = registration.confidence if registration.found else UNREGISTERED * min(1.0, alike)
        self.scale = abs(float(np.linalg.det(registration.matrix[:2, :2])))

    def changes(self) -> list[Change]:
        leading = [link for link in self.links if not link.part]
        found = [change for link in leading for change in self._of_colony(link)]
        gone = set(range(len(self.earlier))) - {link.earlier for link in self.links}
        new = set(range(len(self.later))) - {link.later for link in self.links}
        for i in sorted(gone):
            found.append(self._alone(self.earlier[i], new, self.later, (Event.DIED, Event.LEFT), i, None))
        for j in sorted(new):
            found.append(self._alone(self.later[j], gone, self.earlier, (Event.RECRUITED, Event.ENTERED), None, j))
        return found

    def _of_colony(self, lead: Link) -> list[Change]:
        """The events of a colony that lives on, and of what split off or was fused in."""
        parts = [link for link in self.links if link.part and link.earlier == lead.earlier]
        joined = [link for link in self.links if link.part and link.later == lead.later]
        if not parts and not joined:
            return [self._size_change(lead)]
        sure = self.trust * min(link.confidence for link in (lead, *parts, *joined))
        mine = (lead.earlier, *(link.earlier for link in joined))
        theirs = (lead.later, *(link.later for link in parts))
        grown = sum(self.later[j].cm2 for j in theirs) - sum(self.earlier[i].cm2 for i in mine)
        event = Event.SPLIT if parts else Event.FUSED
        found = [Change(event, lead.earlier, lead.later, sure, mine, grown, note=self._renamed(lead))]
        found += [
            Change(event, None, link.later, self.trust * link.confidence, mine, note=self._renamed(link))
            for link in parts
        ]
        found += [
            Change(Event.ABSORBED, link.earlier, None, self.trust * link.confidence, into=lead.later) for link in joined
        ]
        return found

    def _size_change(self, link: Link) -> Change:
        a, b = self.earlier[link.earlier], self.later[link.later]
        cut = not self.common.buffer(-2 * OUTLINE_CM).contains(shapely.union(a.ground, b.ground))
        was, now = a.cm2, b.cm2
        notes = [self._renamed(link)]
        if cut:
            was = float(a.ground.intersection(self.common).area) / self.scale
            now = float(b.ground.intersection(self.common).area)
            notes.append("reaches the frame: growth is that of the ground in both pictures")
        border = OUTLINE_CM * np.hypot(a.ground.length, b.ground.length)
        doubt = float(np.hypot(border, abs(self.scale - 1) * max(was, now)))
        beyond = abs(now - was) / max(doubt, 1e-9)
        sure, event = self.trust * link.confidence, Event.SURVIVED
        if beyond > SIGNIFICANT:
            event = Event.GREW if now > was else Event.SHRANK
            event = Event.PARTIAL_MORTALITY if event == Event.SHRANK and self._partial(a, b) else event
            sure *= NormalDist().cdf(float(beyond))
        radial = None if cut else 10 * (np.sqrt(max(now, 0) / np.pi) - np.sqrt(max(was, 0) / np.pi))
        note = "; ".join(n for n in notes if n) or None
        return Change(event, link.earlier, link.later, sure, (link.earlier,), now - was, radial, note=note)

    def _partial(self, a: Outline, b: Outline) -> bool:
        if not self.registration.found:
            return False
        whole = max(float(a.ground.area), 1e-9)
        lost, won = a.ground.difference(b.ground).area / whole, b.ground.difference(a.ground).area / whole
        near = b.ground.boundary.buffer(2 * (OUTLINE_CM + self.blur))
        stayed = a.ground.boundary.intersection(near).length / max(float(a.ground.length), 1e-9)
        return lost >= PARTIAL_LOSS and won <= PARTIAL_GAIN and stayed >= PARTIAL_BORDER

    def _alone(
        self,
        outline: Outline,
        unpaired: set[int],
        others: Sequence[Outline],
        events: tuple[Event, Event],
        earlier: int | None,
        later: int | None,
    ) -> Change:
        """The event of an outline without a partner: gone or new, out of sight, or not to be told."""
        inside, beyond = events
        area = max(float(outline.ground.area), 1e-9)
        rivals = [others[k] for k in unpaired if kin(outline.taxon, others[k].taxon, self.kinship)]
        if not self.registration.found:
            unclear = any(outline.ground.distance(r.ground) <= self.blur for r in rivals)
            edge = not self.common.buffer(-self.blur).contains(outline.ground)
            if unclear or edge:
                why = "another colony is as near as the frame may have moved" if unclear else "at the frame's edge"
                return Change(Event.UNRESOLVED, earlier, later, 0.0, note=f"not registered, and {why}")
        if outline.ground.intersection(self.common).area / area < 0.5:
            return Change(beyond, earlier, later, self.trust)
        nearest = max((r.ground.intersection(outline.ground).area / area for r in rivals), default=0.0)
        sure = self.trust * (1 - min(1.0, nearest)) * area / (area + SMALL_CM2)
        notes = []
        if not others:
            sure *= EMPTY
            notes.append("the other picture has no outline at all")
        if later is None:
            over = [o for o in self.later if o.ground.intersection(outline.ground).area / area >= CONTAINED]
            notes += [f"its ground is now {o.taxon}" for o in over]
        return Change(inside, earlier, later, sure, note="; ".join(notes) or None)

    def _renamed(self, link: Link) -> str | None:
        if not link.relabelled:
            return None
        return f"was {self.earlier[link.earlier].taxon}, now {self.later[link.later].taxon}: one of them is wrong"


def _mover(registration: Registration) -> Callable[[np.ndarray], np.ndarray]:
    return lambda points: apply_homography(registration.matrix, points)


def _valid(ground: BaseGeometry) -> BaseGeometry:
    return ground if ground.is_valid else shapely.make_valid(ground, method="structure", keep_collapsed=False)
