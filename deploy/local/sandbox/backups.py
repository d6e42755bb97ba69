"""A task as CVAT's own backup file: ``task.json``, ``annotations.json`` (a list, one entry a job), ``data/``."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.local.sandbox.store import Document, Store

LABEL_FIELDS = ("name", "color", "type", "svg")
SHAPE_FIELDS = ("type", "occluded", "outside", "z_order", "rotation", "points", "frame", "group", "source")


def write_backup(path: Path, store: Store, task: Document, status: str, picture: Callable[[str], Path]) -> None:
    """Write the zip file.

    Args:
        path: of the file.
        store: where the task's labels, jobs and annotations are.
        task: the task.
        status: its status, as CVAT tells it.
        picture: finds the file of a picture by its name.
    """
    owner = {"project_id": task["project_id"]} if task["project_id"] else {"task_id": task["id"]}
    labels = store.all("label", **owner)
    jobs = sorted(
        store.all("job", task_id=task["id"]), key=lambda job: (job["type"] != "annotation", job["start_frame"])
    )
    told = {
        "name": task["name"],
        "bug_tracker": task["bug_tracker"],
        "status": status,
        "subset": task["subset"],
        "labels": [_label(label) for label in labels],
        "version": "1.0",
        "data": {
            "chunk_size": 72,
            "image_quality": task.get("image_quality", 70),
            "start_frame": 0,
            "stop_frame": task["size"] - 1,
            "storage_method": "cache",
            "sorting_method": "predefined",
            "chunk_type": "imageset",
            "deleted_frames": task.get("deleted_frames", []),
            "storage": "local",
        },
        "jobs": [_job(job) for job in jobs],
    }
    truth = next((job for job in jobs if job["type"] == "ground_truth"), None)
    if truth is not None:
        shown = [task["frames"][frame]["name"] for frame in truth["frames"] or task.get("pool_frames") or []]
        told["data"]["validation_layout"] = {"mode": task.get("validation_mode") or "gt", "frames": shown}
    lines = [json.dumps({"version": "1.1"}), json.dumps({"type": "images"})]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for frame in task["frames"]:
            file.write(picture(frame["name"]), f"data/{frame['name']}", zipfile.ZIP_STORED)
            stem, dot, extension = str(frame["name"]).rpartition(".")
            size = {"width": frame["width"], "height": frame["height"]}
            lines.append(json.dumps({"name": stem, "extension": dot + extension, **size}))
        file.writestr("data/manifest.jsonl", "\n".join([*lines, ""]))
        file.writestr("task.json", json.dumps(told))
        names = _names(labels)
        file.writestr("annotations.json", json.dumps([_annotations(store, job, names) for job in jobs]))


def _job(job: Document) -> Document:
    """A job: which frames it has. In which state it is, and whose, is not told."""
    told = {"status": job["stage"], "type": job["type"]}
    told |= {name: job[name] for name in ("start_frame", "stop_frame")}
    return told | ({"frames": job["frames"]} if job.get("frames") else {})


def _label(label: Document) -> Document:
    attributes = [{k: a[k] for k in ("name", "mutable", "input_type", "default_value", "values") if k in a}
                  for a in label["attributes"]]  # fmt: skip
    told = {**{name: label[name] for name in LABEL_FIELDS if label.get(name)}, "attributes": attributes}
    return told | ({"sublabels": [_label(part) for part in label["sublabels"]]} if label["sublabels"] else {})


def _annotations(store: Store, job: Document, names: tuple[Mapping[int, str], Mapping[int, str]]) -> Document:
    kept = store.get("annotations", job["id"]) or {}
    return {
        "version": 0,
        "tags": [_mark(tag, names) for tag in kept.get("tags", [])],
        "shapes": [_mark(shape, names) for shape in kept.get("shapes", [])],
        "tracks": [],
    }


def _mark(mark: Document, names: tuple[Mapping[int, str], Mapping[int, str]]) -> Document:
    """A shape or tag with names in the place of ids, which mean nothing elsewhere."""
    labels, attributes = names
    told: dict[str, Any] = {name: mark[name] for name in SHAPE_FIELDS if name in mark}
    told["attributes"] = [{"name": attributes[a["spec_id"]], "value": a["value"]} for a in mark["attributes"]]
    if "elements" in mark:
        told["elements"] = [_mark(part, names) for part in mark["elements"]]
    return {**told, "label": labels[mark["label_id"]]}


def _names(labels: Sequence[Document]) -> tuple[dict[int, str], dict[int, str]]:
    parts = [part for label in labels for part in (label, *label["sublabels"])]
    return {p["id"]: p["name"] for p in parts}, {a["id"]: a["name"] for p in parts for a in p["attributes"]}
