"""Backups of CVAT tasks and projects as outlines by file name: what an old CVAT leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from labels.formats.common import HALF
from labels.formats.cvat.geometry import OutlineError, ellipse, mask_outline, mend, rectangle
from labels.formats.foreign import UNREADABLE, ForeignError, ForeignPicture, ForeignShape, Reading, said

LEFT_OUT = {"ground_truth": "drawn as ground truth", "consensus_replica": "another person's copy of a job"}
"""Jobs whose shapes are no labels, with why."""


def is_backup(names: Iterable[str]) -> bool:
    """Whether the members of a zip are those of a backup."""
    return any(name.rpartition("/")[2] in ("task.json", "project.json") for name in names)


def read_cvat_backup(names: Iterable[str], read: Callable[[str], bytes]) -> Reading:
    """Polygons, masks, rectangles and ellipses of all tasks of a backup.

    Args:
        names: members of the zip.
        read: gives a member.

    Raises:
        ForeignError: not a backup of pictures, or a damaged one.
    """
    members = set(names)
    tasks = sorted(name for name in members if name.rpartition("/")[2] == "task.json")
    if not tasks:
        raise ForeignError("a CVAT backup without a task in it")
    reading = Reading([])
    for path in tasks:
        folder = path.removesuffix("task.json")
        try:
            task, jobs = json.loads(read(path)), json.loads(read(f"{folder}annotations.json"))
            files = list(_frames(task, folder, members, read))
            if len(task["jobs"]) != len(jobs):
                raise ForeignError(f"{folder}annotations.json has {len(jobs)} jobs, task.json {len(task['jobs'])}")
        except UNREADABLE as error:
            raise ForeignError(f"{path}: not the backup of a CVAT task ({type(error).__name__}: {error})") from error
        _read_task(task, jobs, files, reading)
    return reading


def _frames(
    task: Mapping[str, Any], folder: str, members: set[str], read: Callable[[str], bytes]
) -> Iterator[ForeignPicture]:
    """The pictures in the order of the frames."""
    manifest = f"{folder}data/manifest.jsonl"
    if manifest not in members:
        raise ForeignError(
            f"{folder or 'the backup'} holds no list of its pictures (data/manifest.jsonl): "
            "export the task as 'CVAT for images 1.1' instead"
        )
    lines = [json.loads(line) for line in read(manifest).decode("utf-8").splitlines() if line.strip()]
    if not any(line.get("type") == "images" for line in lines):
        raise ForeignError(f"{folder}data is a video: only tasks of pictures can be imported")
    entries = [line for line in lines if "name" in line and "extension" in line]
    data = task["data"]
    chosen = entries[int(data.get("start_frame") or 0) : int(data.get("stop_frame", len(entries) - 1)) + 1]
    for entry in chosen:
        yield ForeignPicture(f"{entry['name']}{entry['extension']}", entry.get("width"), entry.get("height"))


def _read_task(
    task: Mapping[str, Any], jobs: list[Mapping[str, Any]], files: list[ForeignPicture], reading: Reading
) -> None:
    removed = set(task["data"].get("deleted_frames") or [])
    traps = "validation_params" in task["data"] or "validation_layout" in task["data"]
    reading.pictures += [picture for frame, picture in enumerate(files) if frame not in removed]
    for number, (job, drawn) in enumerate(zip(task["jobs"], jobs, strict=True)):
        where = f"{task.get('name', 'task')}, job {number + 1}"
        kind = str(job.get("type") or "annotation")
        # In a task with honeypots the pictures of the pool are labelled in the ground-truth job alone.
        if kind in LEFT_OUT and not (traps and kind == "ground_truth"):
            if drawn.get("shapes"):
                reading.problems.append(f"{where}: {len(drawn['shapes'])} shapes left out: {LEFT_OUT[kind]}")
            continue
        for part in ("tags", "tracks"):
            if drawn.get(part):
                reading.problems.append(f"{where}: {len(drawn[part])} {part} are no outlines")
        for place, raw in enumerate(drawn.get("shapes") or []):
            what = f"{where}, {raw.get('type', 'shape')} {place + 1}"
            try:
                _add(raw, files, removed, what)
            except UNREADABLE as error:
                reading.problems.append(f"{what}: {said(error)}")


def _add(raw: Mapping[str, Any], files: list[ForeignPicture], removed: set[int], what: str) -> None:
    frame = int(raw["frame"])
    if not 0 <= frame < len(files):
        raise OutlineError(f"lies on frame {frame}, of which the backup has no picture")
    if frame in removed:
        return
    points, rotation = [float(v) for v in raw["points"]], float(raw.get("rotation") or 0)
    match raw["type"]:
        case "polygon":
            ring, holes = mend(points)
        case "mask":
            ring, holes = mask_outline(points)
        case "rectangle":
            ring, holes = mend(rectangle(points, rotation))
        case "ellipse":
            ring, holes = mend(ellipse(points, rotation))
        case _:
            raise OutlineError("is no outline")
    outline = [v - HALF for v in ring], [[v - HALF for v in hole] for hole in holes]
    files[frame].shapes.append(ForeignShape(str(raw["label"]), *outline, what))
