"""Pre-labels to CVAT's ``LabeledData`` (``PUT /api/tasks/{id}/annotations/``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from labels.formats.cvat.answer import Labels
from labels.formats.cvat.geometry import HALF_PIXEL, OutlineError, cut_holes, mask_runs
from labels.formats.cvat.specs import CONFIDENCE
from labels.schema import Kind, Shape, Source

SOURCES = {Source.MODEL: "auto", Source.EDITED: "semi-auto", Source.HUMAN: "manual"}
DECIMALS = 2
"""CVAT's canvas keeps two decimals; more would make an untouched shape look changed."""

OCCLUDED = "occluded"
"""Attribute: ``true``, or for a skeleton the comma-separated nodes, that something lies over."""


class CvatFormatError(ValueError):
    """The labels do not fit CVAT's project; the message says what to do."""


def label_list(labels: Labels) -> list[Mapping[str, Any]]:
    """The labels as a list, whichever form they came in."""
    return list(labels.values()) if isinstance(labels, Mapping) else list(labels)


def node_order(label: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Sublabels of a skeleton in the order they were defined, which is the order of the topology's nodes."""
    return sorted(label.get("sublabels") or [], key=lambda sublabel: sublabel["id"])


def cvat_points(points: Iterable[float]) -> list[float]:
    """Flat coordinates in CVAT's frame (half a pixel more), to the decimals that CVAT keeps."""
    return [round(float(v) + HALF_PIXEL, DECIMALS) for v in points]


def confidence_of(shape: Shape) -> str:
    """What the confidence attribute of a shape says in CVAT: the stated one, else the score, else 100."""
    stated = shape.attributes.get(CONFIDENCE)
    return stated if stated is not None else str(round(100 * (1.0 if shape.score is None else shape.score)))


def to_cvat(
    shapes: Iterable[Shape], frames: Mapping[str, int], labels: Labels, *, masks: bool = False
) -> dict[str, Any]:
    """Label rows as CVAT annotations of a task.

    Args:
        shapes: the rows. Polygons with holes become one ring each, see :func:`cut_holes`.
        frames: ``image_id -> frame number`` of the task.
        labels: the project's labels.
        masks: send outlines as masks (pixels whose centres lie in them), for people who work with brush and eraser.

    Raises:
        CvatFormatError: a label is not in the project, a picture is not in the task, or a shape has no form in CVAT.
    """
    known = {label["name"]: label for label in label_list(labels)}
    data: dict[str, Any] = {"version": 0, "tags": [], "shapes": [], "tracks": []}
    for shape in shapes:
        where = f"{shape.image_id}/{shape.shape_id}"
        if shape.label not in known:
            raise CvatFormatError(f"{where}: CVAT's project has no label {shape.label!r}: run 'reefline cvat apply'")
        if shape.image_id not in frames:
            raise CvatFormatError(f"{where}: the picture is not in the CVAT task: make the task anew")
        common = {
            "frame": frames[shape.image_id],
            "label_id": known[shape.label]["id"],
            "group": 0,
            "source": SOURCES[Source(shape.source)],
            "attributes": _attributes(shape, known[shape.label]),
        }
        if shape.kind == Kind.TAG:
            data["tags"].append(common)
        else:
            data["shapes"].append(common | _body(shape, common["frame"], known[shape.label], where, masks))
    return data


def _attributes(shape: Shape, label: Mapping[str, Any]) -> list[dict[str, Any]]:
    values = {CONFIDENCE: confidence_of(shape), **shape.attributes}
    specs = label.get("attributes") or []
    return [{"spec_id": spec["id"], "value": values[spec["name"]]} for spec in specs if spec["name"] in values]


def _body(shape: Shape, frame: int, label: Mapping[str, Any], where: str, masks: bool) -> dict[str, Any]:
    body = {
        "type": shape.kind,
        "occluded": shape.attributes.get(OCCLUDED) == "true",
        "outside": False,
        "z_order": 0,
        "rotation": 0.0,
        "points": [],
        "elements": [],
    }
    match shape.kind:
        case Kind.POLYGON if masks:
            try:
                return body | {"type": "mask", "points": mask_runs(shape.points, shape.holes)}
            except OutlineError as error:
                raise CvatFormatError(f"{where}: {error}") from error
        case Kind.POLYGON:
            return body | {"type": "polygon", "points": cvat_points(cut_holes(shape.points, shape.holes))}
        case Kind.POINT:
            return body | {"type": "points", "points": cvat_points(shape.points)}
        case Kind.SKELETON:
            return body | {"type": "skeleton", "elements": _elements(shape, frame, label, where)}
        case _:
            raise CvatFormatError(f"{where}: a {shape.kind} cannot be sent to CVAT: make it a polygon first")


def _elements(shape: Shape, frame: int, label: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    nodes = node_order(label)
    if len(nodes) * 2 != len(shape.points):
        raise CvatFormatError(
            f"{where}: {len(shape.points) // 2} points, but CVAT's skeleton {label['name']!r} has {len(nodes)} nodes: "
            "run 'reefline cvat apply' to see what differs"
        )
    outside, occluded = set(shape.outside_nodes()), set(shape.attributes.get(OCCLUDED, "").split(","))
    return [
        {
            "type": "points",
            "frame": frame,
            "label_id": node["id"],
            "group": 0,
            "source": SOURCES[Source(shape.source)],
            "occluded": node["name"] in occluded,
            "outside": node["name"] in outside,
            "z_order": 0,
            "rotation": 0.0,
            "points": cvat_points(xy),
            "attributes": [],
        }
        for node, xy in zip(nodes, shape.xy(), strict=True)
    ]
