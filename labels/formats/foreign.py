"""Annotations of other programs (COCO, CVAT XML, YOLO) as outlines by file name. What cannot be read is named.

Coordinates are turned into the label table's: pixel centres have integer coordinates. Where a format knows no picture
size (YOLO), they are shares of the sides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from labels.formats.common import HALF, Pixels, trimmed
from labels.formats.cvat.geometry import MAX_MASK, OutlineError, ellipse, mask_outline, mend, rectangle
from labels.formats.rle import RleError, decode_rle
from labels.formats.yolo import mask_parts

UNREADABLE = (LookupError, TypeError, ValueError, ArithmeticError)
"""What parsing raises when an object is not as it should be."""


class ForeignError(ValueError):
    """The file as a whole is not of the format; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class ForeignShape:
    """An outline: label, flat ring and holes, and what the file calls it."""

    label: str
    ring: list[float]
    holes: list[list[float]]
    name: str


@dataclass(slots=True)
class ForeignPicture:
    """The outlines of a picture.

    Attributes:
        width, height: as the file states them, in pixels; ``None`` where it does not.
        shares: rings are shares of the sides instead of pixels.
    """

    file: str
    width: int | None
    height: int | None
    shapes: list[ForeignShape] = field(default_factory=list)
    shares: bool = False


@dataclass(slots=True)
class Reading:
    """What a file holds, and a line for everything in it that cannot be used."""

    pictures: list[ForeignPicture]
    problems: list[str] = field(default_factory=list)


def read_coco(data: bytes) -> Reading:
    """Polygons and run lengths of a COCO instances file; each part of an object becomes an outline.

    Raises:
        ForeignError: not a COCO file.
    """
    try:
        document = json.loads(data)
        images = {i["id"]: ForeignPicture(str(i["file_name"]), side(i.get("width")), side(i.get("height")))
                  for i in document["images"]}  # fmt: skip
        names = {c["id"]: str(c["name"]) for c in document["categories"]}
        annotations = document["annotations"]
        if not isinstance(annotations, list):
            raise TypeError("'annotations' is no list")
    except (*UNREADABLE, RecursionError) as error:
        raise ForeignError(
            f"not a COCO file: 'images', 'categories' and 'annotations' are expected ({error})"
        ) from error
    reading = Reading(list(images.values()))
    for number, item in enumerate(annotations):
        what = f"annotation {item.get('id', '?') if isinstance(item, dict) else f'number {number}'}"
        try:
            if not isinstance(item, dict):
                raise OutlineError("is no annotation")
            if item.get("iscrowd"):
                raise OutlineError("a crowd region is no colony")
            picture, label = images[item["image_id"]], names[item["category_id"]]
            picture.shapes += [ForeignShape(label, ring, holes, what) for ring, holes in _coco_rings(item, picture)]
        except (*UNREADABLE, RleError) as error:
            reading.problems.append(f"{what}: {said(error)}")
    return reading


def _coco_rings(item: Mapping[str, Any], picture: ForeignPicture) -> list[tuple[list[float], list[list[float]]]]:
    segmentation = item["segmentation"]
    if isinstance(segmentation, dict):
        return _mask_rings(trimmed(_coco_mask(segmentation, picture)))
    if not segmentation:
        raise OutlineError("no outline")
    return [_moved(*mend(ring)) for ring in segmentation]


def _coco_mask(segmentation: Mapping[str, Any], picture: ForeignPicture) -> NDArray[np.bool_]:
    """Run lengths, compressed or not, as a mask of the whole picture."""
    height, width = (int(n) for n in segmentation["size"])
    if picture.width and picture.height and (width, height) != (picture.width, picture.height):
        raise OutlineError(f"a mask of {width}x{height} px on a picture of {picture.width}x{picture.height} px")
    if not 0 < height * width <= MAX_MASK:
        raise OutlineError(f"a mask of {width}x{height} px: no picture is as large")
    counts = segmentation["counts"]
    if isinstance(counts, str):
        return decode_rle(counts, height, width)
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise OutlineError(f"run lengths that do not fill the mask's {height * width} pixels")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape((height, width), order="F")


def _mask_rings(mask: Pixels) -> list[tuple[list[float], list[list[float]]]]:
    if not mask.area:
        raise OutlineError("an empty mask")
    return [
        (
            np.asarray(part.exterior.coords[:-1]).ravel().tolist(),
            [np.asarray(hole.coords[:-1]).ravel().tolist() for hole in part.interiors],
        )
        for part in mask_parts(mask)
    ]


def _moved(ring: Sequence[float], holes: Iterable[Sequence[float]]) -> tuple[list[float], list[list[float]]]:
    return [v - HALF for v in ring], [[v - HALF for v in hole] for hole in holes]


def read_cvat_xml(data: bytes) -> Reading:
    """Polygons, masks, rectangles and ellipses of a "CVAT for images 1.1" XML.

    Raises:
        ForeignError: not such a file.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ForeignError("an XML with a document type: CVAT writes none, so it is not read")
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 - no entities, see above
    except ElementTree.ParseError as error:
        raise ForeignError(f"not an XML file: {error}") from error
    if root.tag != "annotations" or root.find("track") is not None:
        raise ForeignError("not 'CVAT for images 1.1': export the task in this format (tracks are of 'CVAT for video')")
    reading = Reading([])
    for image in root.iter("image"):
        picture = ForeignPicture(image.attrib.get("name", ""), side(image.get("width")), side(image.get("height")))
        reading.pictures.append(picture)
        for number, element in enumerate(image):
            what = f"{picture.file}, {element.tag} {number}"
            try:
                ring, holes = _moved(*_DRAWN[element.tag](element))
                picture.shapes.append(ForeignShape(element.attrib["label"], ring, holes, what))
            except UNREADABLE as error:
                reading.problems.append(f"{what}: {said(error) if element.tag in _DRAWN else 'is no outline'}")
    return reading


def side(stated: Any) -> int | None:
    """A picture's side in pixels as a file states it; ``None`` for what is none."""
    try:
        number = int(stated)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number > 0 else None


def _numbers(text: str) -> list[float]:
    return [float(v) for v in text.replace(";", ",").split(",")]


def _drawn_mask(element: Any) -> tuple[list[float], list[list[float]]]:
    left, top, width, height = (int(element.attrib[key]) for key in ("left", "top", "width", "height"))
    return mask_outline([*_numbers(element.attrib["rle"]), left, top, left + width - 1, top + height - 1])


def _drawn_box(element: Any) -> tuple[list[float], list[list[float]]]:
    points = [float(element.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr")]
    return mend(rectangle(points, float(element.attrib.get("rotation", 0))))


def _drawn_ellipse(element: Any) -> tuple[list[float], list[list[float]]]:
    cx, cy, rx, ry = (float(element.attrib[key]) for key in ("cx", "cy", "rx", "ry"))
    return mend(ellipse([cx, cy, cx + rx, cy - ry], float(element.attrib.get("rotation", 0))))


_DRAWN: Mapping[str, Callable[[Any], tuple[list[float], list[list[float]]]]] = {
    "polygon": lambda element: mend(_numbers(element.attrib["points"])),
    "mask": _drawn_mask,
    "box": _drawn_box,
    "ellipse": _drawn_ellipse,
}


def read_yolo(texts: Mapping[str, bytes], names: Sequence[str]) -> Reading:
    """Outlines (seg) and boxes (detect) of YOLO texts, by file name; rings are shares of the sides.

    Args:
        texts: content by name, e.g. ``labels/train/Temae_2021_01.txt``.
        names: class names in index order, from ``data.yaml``.
    """
    reading = Reading([])
    for file, data in sorted(texts.items()):
        picture = ForeignPicture(file.rpartition("/")[2].removesuffix(".txt"), None, None, shares=True)
        reading.pictures.append(picture)
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if not line.strip():
                continue
            what = f"{file}:{number}"
            try:
                label, *values = (float(word) for word in line.split())
                if not (label.is_integer() and 0 <= label < len(names)):
                    raise OutlineError(f"class {label:g}, where data.yaml has {len(names)}")
                ring, holes = mend(_box(values) if len(values) == 4 else values)
                picture.shapes.append(ForeignShape(names[int(label)], ring, holes, what))
            except UNREADABLE as error:
                reading.problems.append(f"{what}: {said(error)}")
    return reading


def _box(values: Sequence[float]) -> list[float]:
    x, y, w, h = values
    return [x - w / 2, y - h / 2, x + w / 2, y - h / 2, x + w / 2, y + h / 2, x - w / 2, y + h / 2]


def said(error: Exception) -> str:
    """What is wrong with an object, for people."""
    if isinstance(error, OutlineError | RleError):
        return str(error)
    return f"cannot be read ({type(error).__name__}: {error})"
