"""Annotations as files: "CVAT for images 1.1" and "COCO 1.0", as CVAT's dataset export writes them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from deploy.local.sandbox.shapes import has_frame
from deploy.local.sandbox.store import Document, Store, now
from deploy.local.sandbox.views import Views

CVAT_XML, COCO = "CVAT for images 1.1", "COCO 1.0"
FORMATS = (CVAT_XML, COCO)
_BOX = ("xtl", "ytl", "xbr", "ybr")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is exported: a task, or one job of it."""

    task: Document
    jobs: Sequence[Document]
    labels: Sequence[Document]
    marks: Sequence[Document]
    """Shapes and tags, by id."""

    def frames(self) -> Iterator[tuple[int, Document]]:
        """Its pictures, with their numbers."""
        for index, frame in enumerate(self.task["frames"]):
            if any(has_frame(job, index) for job in self.jobs):
                yield index, frame


def subject_of(store: Store, task: Document, jobs: Sequence[Document]) -> Subject:
    """What a task, or a job of it, holds."""
    kept = [store.get("annotations", job["id"]) or {} for job in jobs]
    marks = [mark for k in kept for mark in (*k.get("tags", []), *k.get("shapes", []))]
    labels = store.all("label", project_id=task["project_id"]) if task["project_id"] else []
    return Subject(task, jobs, labels, sorted(marks, key=lambda mark: mark["id"]))


def write_export(
    path: Path, subject: Subject, kind: str, views: Views, picture: Callable[[str], Path] | None = None
) -> None:
    """Write a zip file; ``picture``: finds the files of pictures, when they should be in it."""
    task = subject.task
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        if kind == CVAT_XML:
            file.writestr("annotations.xml", _xml(subject, views))
        else:
            name = f"annotations/instances_{task['subset'] or 'default'}.json"
            file.writestr(name, json.dumps(_coco(subject)))
        for _, frame in subject.frames() if picture else ():
            folder = "images" if kind == CVAT_XML or not task["subset"] else f"images/{task['subset']}"
            file.write(picture(frame["name"]), f"{folder}/{frame['name']}")  # type: ignore[misc]


def _xml(subject: Subject, views: Views) -> bytes:
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    meta = SubElement(root, "meta")
    _meta(SubElement(meta, "task"), subject, views)
    SubElement(meta, "dumped").text = _spaced(now())
    names, attributes = _names(subject.labels)
    for index, frame in subject.frames():
        size = {"width": str(frame["width"]), "height": str(frame["height"])}
        image = SubElement(root, "image", {"id": str(index), "name": frame["name"], **size})
        for mark in subject.marks:
            if mark["frame"] == index:
                _xml_mark(image, mark, names, attributes)
    indent(root)
    return tostring(root, encoding="utf-8", xml_declaration=True, short_empty_elements=False)


def _meta(element: Element, subject: Subject, views: Views) -> None:
    task = subject.task
    for name, value in (
        ("id", task["id"]),
        ("name", task["name"]),
        ("size", task["size"]),
        ("mode", task["mode"]),
        ("overlap", task["overlap"] or 0),
        ("bugtracker", task["bug_tracker"]),
        ("created", _spaced(task["created_date"])),
        ("updated", _spaced(task["updated_date"])),
        ("subset", task["subset"] or "default"),
        ("start_frame", 0),
        ("stop_frame", task["size"] - 1),
        ("frame_filter", ""),
    ):
        SubElement(element, name).text = str(value)
    segments = SubElement(element, "segments")
    for job in subject.jobs:
        segment = SubElement(segments, "segment")
        url = f"{views.base}/api/jobs/{job['id']}"
        for name, value in (("id", job["id"]), ("start", job["start_frame"]), ("stop", job["stop_frame"])):
            SubElement(segment, name).text = str(value)
        SubElement(segment, "url").text = url
    for name in ("owner", "assignee"):
        person = SubElement(element, name)
        user = views.store.get("user", task[name]) if task[name] else None
        for field in ("username", "email") if user else ():
            SubElement(person, field).text = (user or {})[field]
    labels = SubElement(element, "labels")
    for label in subject.labels:
        _xml_label(labels, label, None)
        for part in label["sublabels"]:
            _xml_label(labels, part, label["name"])


def _xml_label(labels: Element, label: Document, parent: str | None) -> None:
    element = SubElement(labels, "label")
    for name in ("name", "color", "type"):
        SubElement(element, name).text = label[name]
    attributes = SubElement(element, "attributes")
    for given in label["attributes"]:
        attribute = SubElement(attributes, "attribute")
        for name in ("name", "mutable", "input_type", "default_value"):
            SubElement(attribute, name).text = str(given.get(name, ""))
        SubElement(attribute, "values").text = "\n".join(map(str, given.get("values") or []))
    if label["type"] == "skeleton":
        SubElement(element, "svg").text = label.get("svg", "")
    if parent:
        SubElement(element, "parent").text = parent


def _xml_mark(
    parent: Element, mark: Document, names: dict[int, str], attributes: dict[int, str], *, inside: bool = False
) -> None:
    """Write a shape or a tag; ``inside``: it is a part of a skeleton."""
    kind = mark.get("type", "tag")
    fields: dict[str, Any] = {"label": names.get(mark["label_id"], ""), "source": mark["source"]}
    if inside:
        fields["outside"] = _flag(mark["outside"])
    if kind == "rectangle":
        element = SubElement(parent, "box")
        place = dict(zip(_BOX, (f"{v:.2f}" for v in mark["points"]), strict=False))
        fields |= {"occluded": _flag(mark["occluded"]), **place}
        fields |= {"rotation": f"{mark['rotation']:.2f}"} if mark["rotation"] else {}
    elif kind == "mask":
        *runs, left, top, right, bottom = (int(v) for v in mark["points"])
        element = SubElement(parent, "mask")
        fields |= {"occluded": _flag(mark["occluded"]), "rle": ", ".join(map(str, runs))}
        fields |= {"left": left, "top": top, "width": right - left + 1, "height": bottom - top + 1}
    else:
        element = SubElement(parent, kind)
        if kind not in ("skeleton", "tag"):
            pairs = zip(mark["points"][::2], mark["points"][1::2], strict=False)
            fields |= {"occluded": _flag(mark["occluded"]), "points": ";".join(f"{x:.2f},{y:.2f}" for x, y in pairs)}
    if kind != "tag" and not inside:
        fields["z_order"] = mark["z_order"]
    for part in mark.get("elements") or []:
        _xml_mark(element, part, names, attributes, inside=True)
    for name, value in fields.items():
        element.set(name, str(value))
    for given in mark["attributes"]:
        attribute = SubElement(element, "attribute", {"name": attributes.get(given["spec_id"], "")})
        attribute.text = str(given["value"])


def _coco(subject: Subject) -> Document:
    parts = [x for label in subject.labels for x in ((label, ""), *((s, label["name"]) for s in label["sublabels"]))]
    category = {label["id"]: number for number, (label, _) in enumerate(parts, 1)}
    specs = {a["id"]: a for label, _ in parts for a in label["attributes"]}
    images: list[Document] = []
    annotations: list[Document] = []
    for number, (index, frame) in enumerate(subject.frames(), 1):
        size = {"width": frame["width"], "height": frame["height"]}
        more = {"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0}
        images.append({"id": number, **size, "file_name": frame["name"], **more})
        for mark in subject.marks:
            shown = _coco_shape(mark, frame) if mark["frame"] == index else None
            if shown is not None:
                where = {"id": len(annotations) + 1, "image_id": number, "category_id": category[mark["label_id"]]}
                annotations.append({**where, **shown, "attributes": _coco_attributes(mark, specs)})
    return {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": dict.fromkeys(("contributor", "date_created", "description", "url", "version", "year"), ""),
        "categories": [
            {"id": number, "name": label["name"], "supercategory": parent}
            for number, (label, parent) in enumerate(parts, 1)
        ],
        "images": images,
        "annotations": annotations,
    }


def _coco_shape(mark: Document, frame: Document) -> Document | None:
    """An area of COCO; points, lines, skeletons and tags are none."""
    points, kind = mark.get("points") or [], mark.get("type")
    if kind == "mask":
        return _coco_mask(points, frame)
    xs, ys = points[::2], points[1::2]
    if kind not in ("polygon", "rectangle"):
        return None
    box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    if kind == "rectangle":
        return {"segmentation": [], "area": box[2] * box[3], "bbox": box, "iscrowd": 0}
    turned = zip(xs, ys, [*xs[1:], xs[0]], [*ys[1:], ys[0]], strict=True)
    area = abs(sum(x * next_y - next_x * y for x, y, next_x, next_y in turned)) / 2
    return {"segmentation": [points], "area": area, "bbox": box, "iscrowd": 0}


def _coco_mask(points: Sequence[float], frame: Document) -> Document:
    """CVAT's run lengths, row by row in a box, as COCO's, column by column in the picture."""
    import numpy as np

    *runs, left, top, right, bottom = (int(v) for v in points)
    width, height = right - left + 1, bottom - top + 1
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    mask = np.zeros((frame["height"], frame["width"]), dtype=bool)
    mask[top : bottom + 1, left : right + 1] = inside
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(np.int8)))
    counts = np.diff(np.concatenate([[0], edges, [flat.size]]))
    segmentation = {"counts": [int(c) for c in counts], "size": [frame["height"], frame["width"]]}
    box = [float(left), float(top), float(width - 1), float(height - 1)]
    return {"segmentation": segmentation, "area": float(inside.sum()), "bbox": box, "iscrowd": 1}


def _coco_attributes(mark: Document, specs: dict[int, Document]) -> Document:
    made: Document = {}
    for given in mark["attributes"]:
        spec = specs[given["spec_id"]]
        value: Any = given["value"]
        if spec["input_type"] == "number":
            value = float(value or 0)
        elif spec["input_type"] == "checkbox":
            value = str(value).lower() == "true"
        made[spec["name"]] = value
    made["occluded"] = mark["occluded"]
    return made | ({"rotation": mark["rotation"]} if mark["type"] == "rectangle" else {})


def _names(labels: Sequence[Document]) -> tuple[dict[int, str], dict[int, str]]:
    """Names of labels and of attributes, by id."""
    parts = [part for label in labels for part in (label, *label["sublabels"])]
    return {p["id"]: p["name"] for p in parts}, {a["id"]: a["name"] for p in parts for a in p["attributes"]}


def _flag(value: bool) -> str:
    return "1" if value else "0"


def _spaced(date: str) -> str:
    return date.replace("T", " ").replace("Z", "+00:00")
