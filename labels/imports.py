"""Old annotations onto the photos of a survey: by content or file name, labels by crosswalk.

What does not fit is always named.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from labels.formats.common import HALF
from labels.formats.coralnet import NetPoint
from labels.formats.foreign import ForeignPicture, ForeignShape, Reading
from labels.schema import Kind, Shape, Source
from labels.taxonomy import Crosswalk

IMPORTED_FROM = "imported_from"
"""Attribute of an imported label: the file it comes from and what it was called there."""
ORIGINAL_LABEL = "original_label"
"""Attribute: the label before the crosswalk."""
SAME_SHAPE = 0.01
"""How far the proportions of a shrunk copy may be from the photo's."""
FAR_OUT = 0.5
"""How far beyond the photo an outline may reach, as a share of its sides. A person's hand slips over the border; an
outline that reaches further belongs to another picture, or to another size of it."""


@dataclass(frozen=True, slots=True)
class PhotoRef:
    """A photo of the survey that labels can be put on; size in pixels of the upright photo, hash of its file."""

    image_id: str
    file: str
    width: int
    height: int
    sha256: str = ""


@dataclass(slots=True)
class ImportReport:
    """What became of everything in a file. ``matched`` + lists + ``dropped`` account for all of it.

    Attributes:
        pictures: pictures of the file that were matched, by photo file.
        labels: objects imported.
        dropped: objects whose label the crosswalk drops on purpose, by label.
        unknown_labels: objects whose label no crosswalk knows, by label.
        unmatched: pictures of the file that are no photo of the survey, with why.
        problems: objects that cannot be used, with why.
        photos_without: photos of the survey that the file says nothing of.
    """

    source: str
    pictures: dict[str, str] = field(default_factory=dict)
    labels: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    unknown_labels: dict[str, int] = field(default_factory=dict)
    unmatched: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    photos_without: int = 0

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


class Matcher:
    """Finds the photo that a file means: by its content where that is known, else by its name.

    Names are looked up as whole path, then name, then name without ending.
    """

    def __init__(self, photos: Iterable[PhotoRef], sums: Mapping[str, str] | None = None) -> None:
        """Match with ``photos`` of the survey; ``sums``: file name -> sha256 of pictures that lie with the labels."""
        self._by: list[defaultdict[str, list[PhotoRef]]] = [defaultdict(list) for _ in _KEYS]
        self._sums: list[defaultdict[str, set[str]]] = [defaultdict(set) for _ in _KEYS]
        self._contents: defaultdict[str, list[PhotoRef]] = defaultdict(list)
        self.count = 0
        for photo in photos:
            self.count += 1
            self._contents[photo.sha256].append(photo)
            for found, key in zip(self._by, _KEYS, strict=True):
                found[key(photo.file)].append(photo)
        for file, digest in (sums or {}).items():
            for known, key in zip(self._sums, _KEYS, strict=True):
                known[key(file)].add(digest)

    def find(self, file: str) -> PhotoRef | str:
        """The photo, or why there is none."""
        same = self._contents.get(self._sum(file) or "?", [])
        if len(same) == 1:
            return same[0]
        for found, key in zip(self._by, _KEYS, strict=True):
            photos = found.get(key(file), [])
            if len(photos) == 1:
                return photos[0]
            if len(photos) > 1:
                return f"{len(photos)} photos have this name: {', '.join(sorted(p.file for p in photos)[:3])}"
        other = ", and none has its content" if self._sum(file) else ""
        return f"no photo of the survey has this name{other}"

    def _sum(self, file: str) -> str | None:
        """Hash of the picture of this name, where just one is known."""
        for known, key in zip(self._sums, _KEYS, strict=True):
            if digests := known.get(key(file)):
                return next(iter(digests)) if len(digests) == 1 else None
        return None


_KEYS = (
    lambda file: file.strip("/"),
    lambda file: PurePosixPath(file.replace("\\", "/")).name.lower(),
    lambda file: PurePosixPath(file.replace("\\", "/")).stem.lower(),
)


def match_outlines(
    reading: Reading, source: str, photos: Matcher, labels: Mapping[str, str | None], taken: Mapping[str, str]
) -> tuple[list[Shape], ImportReport]:
    """Label rows in pixels of the upright photos, and what became of everything.

    Args:
        source: name of the file, for provenance.
        labels: label of the file -> taxon of the survey, ``None`` = dropped on purpose.
        taken: ``image_id`` -> the import that has labelled it before; such pictures are left out.
    """
    report = ImportReport(source, problems=list(reading.problems))
    dropped: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    shapes: list[Shape] = []
    for picture in reading.pictures:
        photo = photos.find(picture.file)
        why = photo if isinstance(photo, str) else _unfit(picture, photo, taken, report)
        if isinstance(photo, str) or why:
            report.unmatched[picture.file] = f"{why} ({len(picture.shapes)} objects)"
            continue
        report.pictures[picture.file] = photo.file
        if picture.shapes and not (picture.shares or (picture.width and picture.height)):
            size = f"{photo.width}x{photo.height}"
            report.problems.append(
                f"{picture.file}: its size is not stated, so it is taken to be the photo's, {size} px"
            )
        for shape in picture.shapes:
            if shape.label not in labels:
                unknown[shape.label] += 1
                continue
            taxon = labels[shape.label]
            if taxon is None:
                dropped[shape.label] += 1
                continue
            row = _row(shape, picture, photo, taxon, source, len(shapes))
            problem = _misplaced(row, photo)
            if problem:
                report.problems.append(f"{shape.name}: {problem}")
            else:
                shapes.append(row)
    report.labels = len(shapes)
    report.dropped, report.unknown_labels = dict(sorted(dropped.items())), dict(sorted(unknown.items()))
    report.photos_without = photos.count - len(set(report.pictures.values()))
    return shapes, report


def _unfit(picture: ForeignPicture, photo: PhotoRef, taken: Mapping[str, str], report: ImportReport) -> str | None:
    if photo.image_id in taken:
        other = taken[photo.image_id]
        return f"import {other} has labelled {photo.file} already: --replace {other} takes that one away"
    if photo.file in report.pictures.values():
        return f"a second picture of the file for {photo.file}"
    if picture.width and picture.height:
        stretch = (photo.width / picture.width) / (photo.height / picture.height)
        if abs(stretch - 1) > SAME_SHAPE:
            return (
                f"the file says {picture.width}x{picture.height} px, the photo has {photo.width}x{photo.height}: "
                "another cut of the picture"
            )
    return None


def _row(shape: ForeignShape, picture: ForeignPicture, photo: PhotoRef, taxon: str, source: str, number: int) -> Shape:
    if picture.shares:
        scale, shift = np.array([photo.width, photo.height], float), 0.0  # they count from the outer corner already
    elif picture.width and picture.height:
        scale, shift = np.array([photo.width / picture.width, photo.height / picture.height]), HALF
    else:
        scale, shift = np.ones(2), HALF

    def moved(ring: Sequence[float]) -> list[float]:
        xy = (np.asarray(ring, float).reshape(-1, 2) + shift) * scale - HALF
        return [float(v) for v in xy.ravel()]

    attributes = {IMPORTED_FROM: f"{source}, {shape.name}"}
    if shape.label != taxon:
        attributes[ORIGINAL_LABEL] = shape.label
    return Shape(
        photo.image_id,
        f"{photo.image_id}:import{number:06d}",
        Kind.POLYGON,
        taxon,
        moved(shape.ring),
        [moved(hole) for hole in shape.holes],
        attributes=attributes,
        source=Source.HUMAN,
    )


def _misplaced(shape: Shape, photo: PhotoRef) -> str | None:
    """Why an outline cannot be of this photo."""
    size = np.array([photo.width, photo.height])
    xy = np.reshape(shape.points, (-1, 2))
    low, high = xy.min(axis=0), xy.max(axis=0)
    if (high <= -HALF).any() or (low >= size - HALF).any():
        return f"lies outside of the {photo.width}x{photo.height} photo"
    if (low < -FAR_OUT * size).any() or (high > (1 + FAR_OUT) * size).any():
        return f"reaches far beyond the {photo.width}x{photo.height} photo (are its coordinates of another size of it?)"
    return None


def match_points(
    points: Iterable[NetPoint], problems: Sequence[str], source: str, photos: Matcher, groups: Mapping[str, str]
) -> tuple[list[Shape], ImportReport]:
    """Point rows in pixels of the upright photos, by their own label codes, and what became of everything.

    Args:
        groups: label code -> functional group; codes without one are counted as unknown but imported.
    """
    report = ImportReport(source, problems=list(problems))
    unknown: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    shapes: list[Shape] = []
    for number, point in enumerate(points):
        photo = photos.find(point.name)
        if isinstance(photo, str):
            missing[point.name] += 1
            report.unmatched[point.name] = f"{photo} ({missing[point.name]} points)"
            continue
        if not (0 <= point.row < photo.height and 0 <= point.column < photo.width):
            report.problems.append(
                f"{point.name}, row {point.row}, column {point.column}: outside of the {photo.width}x{photo.height} "
                "photo (are the points of another size of it?)"
            )
            continue
        if point.label not in groups:
            unknown[point.label] += 1
        report.pictures[point.name] = photo.file
        shapes.append(
            Shape(
                photo.image_id,
                f"{photo.image_id}:point{number:06d}",
                Kind.POINT,
                point.label,
                [float(point.column), float(point.row)],
                attributes={IMPORTED_FROM: source, "group": groups.get(point.label, point.label)},
                source=Source.HUMAN,
                annotator=point.annotator,
            )
        )
    report.labels = len(shapes)
    report.unknown_labels = dict(sorted(unknown.items()))
    report.photos_without = photos.count - len(set(report.pictures.values()))
    return shapes, report


def label_map(found: Iterable[str], taxa: Sequence[str], crosswalk: Crosswalk | None) -> dict[str, str | None]:
    """Label of a file -> taxon: by the crosswalk, else by the taxon's own name in whatever case."""
    mapped: dict[str, str | None] = {}
    same = {taxon.lower(): taxon for taxon in taxa}
    known = {} if crosswalk is None else {label.lower(): taxon for label, taxon in crosswalk.map.items()}
    for label in set(found):
        key = label.strip().lower()
        if key in known:
            mapped[label] = known[key]
        elif crosswalk is None and key in same:
            mapped[label] = same[key]
    return mapped
