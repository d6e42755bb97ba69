"""A quadrat through all its years: every colony under one id, every picture with its outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby

import shapely

from analytics.colonies.events import Change, Event, Sight, changes
from analytics.colonies.matching import Outline
from analytics.colonies.registration import Registration, View, register
from analytics.geometry import outline_geometry
from labels.schema import Kind, Shape

FRAME_TOLERANCE = 0.02
"""Frames whose sides differ by more than this share are not the same quadrat."""


ONE_YEAR = "only one year: nothing to compare it with"


class Outcome(StrEnum):
    """What became of a picture."""

    FIRST = "first"
    REGISTERED = "registered"
    UNREGISTERED = "unregistered"
    """Compared with the picture before as the frames lay, within the stated uncertainty."""
    NOT_COMPARED = "not_compared"
    """It cannot show the same ground: colonies start anew."""
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class Photo:
    """A reviewed picture of a quadrat.

    Attributes:
        load: gives the picture with its scale; called only when it is compared. May raise ``ValueError``.
        size: (width, height) in pixels of the frame in which ``shapes`` are given.
        by_person: whether a person reviewed it.
    """

    survey: str
    image_id: str
    year: int
    size: tuple[int, int]
    cm_per_px: float
    shapes: Sequence[Shape]
    load: Callable[[], View]
    by_person: bool = True

    @property
    def sight(self) -> Sight:
        """What it shows, in centimetres."""
        outlines = []
        for shape in self.shapes:
            ground = outline_geometry(shape) if shape.kind == Kind.POLYGON else shapely.Polygon()
            if ground.area > 0:
                ground = shapely.transform(ground, lambda points: points * self.cm_per_px)
                outlines.append(Outline(shape.shape_id, shape.label, ground, float(ground.area)))
        edge = 0.5 * self.cm_per_px
        width, height = self.size
        whole = shapely.box(-edge, -edge, width * self.cm_per_px - edge, height * self.cm_per_px - edge)
        return Sight(whole, sorted(outlines, key=lambda outline: outline.shape_id))


@dataclass(frozen=True, slots=True)
class History:
    """A quadrat through its years.

    Attributes:
        tracks: rows of ``TRACK_SCHEMA``.
        pictures: rows of ``PICTURE_SCHEMA``, one per photo that was given.
        used: the photos that were followed, by year.
        key: hash of all that it was made of.
    """

    site: str
    quadrat: str
    key: str = ""
    tracks: list[dict[str, object]] = field(default_factory=list)
    pictures: list[dict[str, object]] = field(default_factory=list)
    used: list[Photo] = field(default_factory=list)


def follow(
    site: str,
    quadrat: str,
    photos: Sequence[Photo],
    parents: Mapping[str, str | None],
    lay: Callable[[View, View], Registration] = register,
    key: str = "",
) -> History:
    """Follow the colonies of a fixed quadrat.

    Args:
        parents: taxon -> taxon one rank up.
        lay: registers two pictures.
        key: kept with the outcomes.
    """
    history = History(site, quadrat, key)
    ids: dict[str, str] = {}
    before: Photo | None = None
    for year, group in groupby(sorted(photos, key=_order), key=lambda photo: photo.year):
        photo, *others = group
        for other in others:
            why = f"{photo.image_id} is the picture of {year}: rename the file of the one that shows other ground"
            history.pictures.append(_picture(history, other, None, Outcome.LEFT_OUT, why))
        outcome, reason, registration = _lay(before, photo, lay)
        history.pictures.append(_picture(history, photo, before, outcome, reason, registration))
        if before is None or registration is None:
            ids = {o.shape_id: _new_id(history, photo, o) for o in photo.sight.outlines}
            start = [Change(Event.FIRST, None, j, 1.0) for j in range(len(ids))]
            _write(history, photo, None, Sight(photo.sight.ground, []), photo.sight, start, ids, ids)
        else:
            ids = _step(history, before, photo, registration, parents, ids)
        history.used.append(photo)
        before = photo
    if len(history.used) == 1:
        history.pictures[-1]["reason"] = _joined(ONE_YEAR, history.pictures[-1]["reason"])
    return history


def _order(photo: Photo) -> tuple[int, bool, str]:
    """By year; of two pictures of one year the one that a person reviewed comes first."""
    return photo.year, not photo.by_person, photo.image_id


def _lay(
    before: Photo | None, photo: Photo, lay: Callable[[View, View], Registration]
) -> tuple[Outcome, str | None, Registration | None]:
    """How a picture lies on the one before: outcome, reason, and the registration where they can be compared."""
    if before is None:
        return Outcome.FIRST, None, None
    sides = [max(p.size) * p.cm_per_px for p in (before, photo)]
    if abs(sides[0] / sides[1] - 1) > FRAME_TOLERANCE:
        said = f"{sides[0]:.0f} cm in {before.year} and {sides[1]:.0f} cm in {photo.year}"
        return (
            Outcome.NOT_COMPARED,
            f"the frame was {said}: correct frame.side_cm, or give the quadrat a new name",
            None,
        )
    try:
        registration = lay(before.load(), photo.load())
    except ValueError as error:
        return Outcome.NOT_COMPARED, f"a picture cannot be read: {error}", None
    if registration.found:
        return Outcome.REGISTERED, None, registration
    why = f"{registration.reason}; outlines are compared as the frames lay"
    return Outcome.UNREGISTERED, why, registration


def _step(
    history: History,
    before: Photo,
    photo: Photo,
    registration: Registration,
    parents: Mapping[str, str | None],
    ids: Mapping[str, str],
) -> dict[str, str]:
    """One interval: write its events; ids of the later outlines by shape."""
    was, now = before.sight, photo.sight
    found = changes(was, now, registration, parents)
    next_ids: dict[str, str] = {}
    for change in found:
        if change.later is not None:
            outline = now.outlines[change.later]
            old = None if change.earlier is None else ids[was.outlines[change.earlier].shape_id]
            next_ids[outline.shape_id] = old or _new_id(history, photo, outline)
    _write(history, photo, before, was, now, found, ids, next_ids)
    return next_ids


def _write(
    history: History,
    photo: Photo,
    before: Photo | None,
    was: Sight,
    now: Sight,
    found: Sequence[Change],
    ids: Mapping[str, str],
    next_ids: Mapping[str, str],
) -> None:
    years = None if before is None else photo.year - before.year
    for change in found:
        here = None if change.later is None else now.outlines[change.later]
        there = None if change.earlier is None else was.outlines[change.earlier]
        outline = here or there
        if outline is None:
            continue
        family = [ids[was.outlines[i].shape_id] for i in change.parents]
        if change.into is not None:
            family = [next_ids[now.outlines[change.into].shape_id]]
        mine = next_ids[here.shape_id] if here else ids[outline.shape_id]
        history.tracks.append(
            {
                "survey": photo.survey,
                "site": history.site,
                "quadrat": history.quadrat,
                "colony_id": mine,
                "year": photo.year,
                "image_id": photo.image_id,
                "shape_id": here.shape_id if here else None,
                "taxon": outline.taxon,
                "cm2": here.cm2 if here else 0.0,
                "event": change.event.value,
                # A colony that simply lives on comes from itself; that need not be said.
                "parents": [] if family == [mine] and change.event != Event.SPLIT else family,
                "confidence": None if change.event == Event.FIRST else round(float(change.confidence), 4),
                "years": years,
                "cm2_per_year": _rate(change.cm2, years),
                "radial_mm_per_year": _rate(change.radial_mm, years),
                "note": change.note,
            }
        )


def _joined(*reasons: object) -> str:
    return "; ".join(str(reason) for reason in reasons if reason)


def _rate(value: float | None, years: int | None) -> float | None:
    return None if value is None or not years else float(value) / years


def _new_id(history: History, photo: Photo, outline: Outline) -> str:
    """Where and when a colony was first seen, and which outline it was then: other outlines' edits do not change it."""
    return f"{history.site}-{history.quadrat}-{photo.year}-{outline.shape_id.rpartition(':')[2]}"


def _picture(
    history: History,
    photo: Photo,
    before: Photo | None,
    outcome: Outcome,
    reason: str | None,
    registration: Registration | None = None,
) -> dict[str, object]:
    laid = registration if registration is not None and registration.found else None
    outlines = len(photo.sight.outlines)
    if not outlines and outcome != Outcome.LEFT_OUT:
        reason = _joined(reason, "no outline at all: is its review complete?")
    return {
        "survey": photo.survey,
        "site": history.site,
        "quadrat": history.quadrat,
        "year": photo.year,
        "image_id": photo.image_id,
        "previous_year": before.year if before else None,
        "previous_image_id": before.image_id if before else None,
        "outcome": outcome.value,
        "reason": reason,
        "method": registration.method.value if registration else None,
        "confidence": round(float(registration.confidence), 4) if registration else None,
        "error_cm": laid.error_cm if laid else None,
        "shift_cm": laid.shift_cm if laid else None,
        "matrix": [float(v) for v in laid.matrix.ravel()] if laid else None,
        "outlines": outlines,
        "key": history.key,
    }
