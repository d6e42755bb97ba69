"""Tasks made of CVAT's own backup files, and moved into a project, as CVAT does both.

Recorded and read there: a task that comes back belongs to no project, has labels of its own, and its jobs are new and
nobody's. Moved into a project, its labels and their attributes are found by name, or the move is refused.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from deploy.local.sandbox.changes import Changes
from deploy.local.sandbox.labels import change_labels
from deploy.local.sandbox.store import Document, Store

ORDER = ("annotation", "ground_truth")
"""Types of jobs that are taken back, in the order in which a backup lists them."""


def read_backup(store: Store, changes: Changes, path: Path) -> Document:
    """A new task made of a backup file.

    Raises:
        ValueError: it is no backup of a task, or of a kind that the sandbox does not take back.
    """
    try:
        with zipfile.ZipFile(path) as file:
            told = json.loads(file.read("task.json"))
            annotations = json.loads(file.read("annotations.json"))
            names = [line["name"] + line["extension"] for line in _manifest(file)]
            pictures = {name: file.read(f"data/{name}") for name in names}
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"Incorrect backup archive: {error}") from error
    layout = told["data"].get("validation_layout")
    if any(job["type"] not in ORDER for job in told["jobs"]) or (layout and layout["mode"] != "gt"):
        raise ValueError("the sandbox takes back neither consensus copies nor honeypots")
    own = [job for job in told["jobs"] if job["type"] == ORDER[0]]
    size = own[0]["stop_frame"] - own[0]["start_frame"] + 1
    spec = {"name": told["name"], "bug_tracker": told["bug_tracker"], "subset": told["subset"], "segment_size": size}
    with store.transaction():
        task = changes.create_task(spec)
        _labels(store, task, told["labels"])
        changes.start_upload(task)
        frames = [_kept(store, task, name, data) for name, data in pictures.items()]
        chosen = {"mode": "gt", "frame_selection_method": "manual", "frames": layout["frames"]} if layout else None
        quality = told["data"]["image_quality"]
        changes.finish_upload(task, frames, {"image_quality": quality, "validation_params": chosen})
        task = store.get("task", task["id"]) or {}
        if told["data"]["deleted_frames"]:
            changes.patch_meta(task, told["data"]["deleted_frames"])
        _draw(store, changes, task, annotations)
    return store.get("task", task["id"]) or {}


def _manifest(file: zipfile.ZipFile) -> list[Document]:
    lines = [json.loads(line) for line in file.read("data/manifest.jsonl").decode().splitlines() if line]
    return [line for line in lines if "extension" in line]


def _kept(store: Store, task: Document, name: str, data: bytes) -> Document:
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts:
        raise ValueError(f"Incorrect backup archive: {name!r}")
    target = store.media(task["id"]) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return {"name": name, "width": height if turned else width, "height": width if turned else height}


def _labels(store: Store, task: Document, specs: Sequence[Document]) -> None:
    change_labels(store, None, specs)
    for label in store.all("label", project_id=None):
        store.put("label", {**label, "task_id": label.get("task_id") or task["id"]})


def _draw(store: Store, changes: Changes, task: Document, annotations: Sequence[Document]) -> None:
    jobs = sorted(store.all("job", task_id=task["id"]), key=lambda j: (ORDER.index(j["type"]), j["start_frame"]))
    labels = {label["name"]: label for label in store.all("label", task_id=task["id"])}
    for job, drawn in zip(jobs, annotations, strict=True):
        given = {kind: [_mark(mark, labels) for mark in drawn[kind]] for kind in ("shapes", "tags")}
        changes.save_annotations([job], given, "create")


def _mark(mark: Document, labels: Mapping[str, Document]) -> Document:
    """A shape or tag with ids in the place of names."""
    label = labels[mark["label"]]
    specs = {attribute["name"]: attribute["id"] for attribute in label["attributes"]}
    told: dict[str, Any] = {name: value for name, value in mark.items() if name != "label"}
    told["attributes"] = [{"spec_id": specs[a["name"]], "value": a["value"]} for a in mark["attributes"]]
    if mark.get("elements"):
        parts = {part["name"]: part for part in label["sublabels"]}
        told["elements"] = [_mark(part, parts) for part in mark["elements"]]
    return {**told, "label_id": label["id"]}


def move_labels(store: Store, task: Document, project_id: int) -> None:
    """Let what is drawn in a task of no project carry the labels of one; its own labels go.

    Raises:
        ValueError: the project lacks one of them.
    """
    theirs = {label["name"]: label for label in store.all("label", project_id=project_id)}
    labels: dict[int, int] = {}
    attributes: dict[int, int] = {}
    mine = store.all("label", task_id=task["id"])
    for label in mine:
        other = theirs.get(label["name"])
        parts = {part["name"]: part for part in (other or {}).get("sublabels", [])}
        if other is None or {part["name"] for part in label["sublabels"]} != set(parts):
            raise ValueError("All task or project label names must be mapped to the target project")
        for old, new in ((label, other), *((part, parts[part["name"]]) for part in label["sublabels"])):
            labels[old["id"]] = new["id"]
            attributes |= _same_attributes(old, new)
    for job in store.all("job", task_id=task["id"]):
        kept = store.get("annotations", job["id"])
        if kept is not None:
            moved = {kind: [_moved(mark, labels, attributes) for mark in kept[kind]] for kind in ("shapes", "tags")}
            store.put("annotations", {**kept, **moved})
    for label in mine:
        store.delete("label", label["id"])


def _same_attributes(old: Document, new: Document) -> dict[int, int]:
    known = {(a["name"], tuple(a.get("values") or ()), a["input_type"]): a["id"] for a in new["attributes"]}
    found = {}
    for attribute in old["attributes"]:
        key = (attribute["name"], tuple(attribute.get("values") or ()), attribute["input_type"])
        if key not in known:
            raise ValueError(f'Target project does not have "{old["name"]}" label with "{attribute["name"]}" attribute')
        found[attribute["id"]] = known[key]
    return found


def _moved(mark: Document, labels: Mapping[int, int], attributes: Mapping[int, int]) -> Document:
    moved = {**mark, "label_id": labels[mark["label_id"]]}
    moved["attributes"] = [{**a, "spec_id": attributes[a["spec_id"]]} for a in mark["attributes"]]
    if mark.get("elements"):
        moved["elements"] = [_moved(part, labels, attributes) for part in mark["elements"]]
    return moved
