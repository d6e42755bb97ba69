"""CVAT for images 1.1: an XML of pictures with polygons, masks and skeletons, as CVAT itself exports and imports it.

A polygon of CVAT has no holes, so an outline with holes is written as a mask, whose pixels are exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from labels.formats.coco import OCCLUDED
from labels.formats.common import Picture, Pixels, by_picture, checked_outline, number_text, outer, pixels, trimmed
from labels.formats.cvat.write import SOURCES
from labels.schema import Kind, Shape, Source

SHAPE_ID = "shape_id"
"""Attribute with the id of the object in the label table."""


def xml_head(name: str, labels: Sequence[Mapping[str, str]], nodes: Sequence[str] = ()) -> bytes:
    """What stands before the pictures.

    Args:
        name: of the project.
        labels: ``name``, ``color`` and ``type`` of each.
        nodes: sublabels, when the label is a skeleton.
    """
    rows = [_label(label["name"], label["color"], label["type"]) for label in labels]
    rows += [_label(node, "#b3b3b3", "points", labels[0]["name"]) for node in nodes]
    listed = "".join(rows)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta><project>'
        f"<name>{escape(name)}</name><labels>{listed}</labels></project></meta>\n"
    ).encode()


XML_TAIL = b"</annotations>\n"


def _label(name: str, color: str, kind: str, parent: str | None = None) -> str:
    above = f"<parent>{escape(parent)}</parent>" if parent else ""
    attribute = (
        ""
        if parent
        else f"<attribute><name>{SHAPE_ID}</name><mutable>False</mutable><input_type>text</input_type>"
        "<default_value></default_value><values></values></attribute>"
    )
    return (
        f"<label><name>{escape(name)}</name><color>{escape(color)}</color><type>{kind}</type>"
        f"<attributes>{attribute}</attributes>{above}</label>"
    )


def xml_pictures(
    pictures: Sequence[Picture], shapes: Iterable[Shape], first: int = 0, nodes: Sequence[str] = ()
) -> bytes:
    """The ``<image>`` elements of pictures, numbered from ``first``.

    Raises:
        FormatError: an outline cannot be written.
    """
    mine = by_picture(shapes)
    parts = []
    for number, picture in enumerate(pictures, first):
        subset = f" subset={quoteattr(picture.split)}" if picture.split else ""
        parts.append(
            f"  <image id={quoteattr(str(number))} name={_attribute(picture.file_name)}{subset} "
            f'width="{picture.width}" height="{picture.height}">\n'
        )
        parts += [_element(shape, picture, nodes) for shape in mine.get(picture.image_id, [])]
        parts.append("  </image>\n")
    return "".join(parts).encode()


def _element(shape: Shape, picture: Picture, nodes: Sequence[str]) -> str:
    common = (
        f"label={_attribute(shape.label)} source={quoteattr(SOURCES[Source(shape.source)])} "
        f'occluded="{int(shape.attributes.get(OCCLUDED) == "true")}" z_order="0"'
    )
    inner = f'<attribute name="{SHAPE_ID}">{escape(_clean(shape.shape_id))}</attribute>'
    if shape.kind == Kind.SKELETON:
        return f"    <skeleton {common}>{inner}{_nodes(shape, nodes)}</skeleton>\n"
    if shape.kind == Kind.TAG:
        return f"    <tag label={_attribute(shape.label)} source={quoteattr('manual')}>{inner}</tag>\n"
    if shape.kind == Kind.POINT:
        return f"    <points {common} points={quoteattr(_points(shape.points))}>{inner}</points>\n"
    if shape.kind == Kind.MASK or shape.holes:
        return f"    <mask {common} {_mask(pixels(shape, picture))}>{inner}</mask>\n"
    checked_outline(shape)
    return f"    <polygon {common} points={quoteattr(_points(shape.points))}>{inner}</polygon>\n"


def _nodes(shape: Shape, nodes: Sequence[str]) -> str:
    outside = set(shape.outside_nodes())
    hidden = set(shape.attributes.get(OCCLUDED, "").split(","))
    places = outer(shape.points).reshape(-1, 2)
    return "".join(
        f"<points label={quoteattr(node)} source={quoteattr(SOURCES[Source(shape.source)])} "
        f'outside="{int(node in outside)}" occluded="{int(node in hidden)}" points="{x:.2f},{y:.2f}"></points>'
        for node, (x, y) in zip(nodes, places, strict=True)
    )


def _points(flat: Sequence[float]) -> str:
    return number_text(outer(flat).reshape(-1, 2))[2:-2].replace(b"],[", b";").decode()


def _mask(mask: Pixels) -> str:
    tight = trimmed(mask.mask, mask.left, mask.top)
    flat = np.concatenate([[False], tight.mask.ravel()])
    changes = np.flatnonzero(np.diff(flat.astype(np.int8)))
    runs = np.diff(np.concatenate([[0], changes, [tight.mask.size]]))
    height, width = tight.mask.shape
    listed = ", ".join(str(run) for run in runs.tolist())
    return f'rle="{listed}" left="{tight.left}" top="{tight.top}" width="{width}" height="{height}"'


def _attribute(text: str) -> str:
    return quoteattr(_clean(text))


def _clean(text: str) -> str:
    # XML 1.0 has no place for control characters and lone surrogates.
    return "".join(
        c if c in "\t\n\r" or 0x20 <= ord(c) < 0xD800 or 0xE000 <= ord(c) < 0xFFFE or ord(c) > 0xFFFF else "�"
        for c in text
    )
