"""Validation of a task: which frames its ground-truth job gets, and how honeypots are laid out among its jobs."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.local.sandbox.store import Document

MODES = ("gt", "gt_pool")
METHODS = ("manual", "random_uniform", "random_per_job")
POOL_METHODS = ("manual", "random_uniform")


@dataclass(frozen=True, slots=True)
class PoolLayout:
    """A task with honeypots, as CVAT lays it out.

    Attributes:
        order: for every frame of the task, the place of its picture in the list that was given.
        jobs: frames of each annotation job.
        pool: frames of the ground-truth job, the last of the task.
        honeypots: frame of a placeholder -> frame of the pool whose picture it shows.
        per_job: placeholders in each job.
    """

    order: list[int]
    jobs: list[range]
    pool: range
    honeypots: dict[int, int]
    per_job: int


def chosen_frames(spec: Document, size: int, jobs: Sequence[Document]) -> list[int]:
    """Frame numbers for a ground-truth job.

    Args:
        spec: ``frame_selection_method`` with what belongs to it, as CVAT's API has it.
        size: number of frames of the task.
        jobs: its annotation jobs.

    Raises:
        ValueError: the specification cannot be fulfilled.
    """
    method = spec.get("frame_selection_method", "manual" if spec.get("frames") else "random_uniform")
    if method not in METHODS:
        raise ValueError(f'"{method}" is not a valid choice.')
    seed = spec.get("random_seed")
    chance = random.Random(seed)  # noqa: S311 - a choice that can be repeated, no secret
    if method == "manual":
        frames = [int(frame) for frame in spec.get("frames") or []]
        if not frames or len(frames) != len(set(frames)) or not set(frames) <= set(range(size)):
            raise ValueError("frames: distinct numbers of frames of the task are needed")
        return sorted(frames)
    if method == "random_uniform":
        count = _count(spec, size, "frame_count", "frame_share")
        return sorted(chance.sample(range(size), count))
    found: set[int] = set()
    for job in jobs:
        frames = list(range(job["start_frame"], job["stop_frame"] + 1))
        count = _count(spec, len(frames), "frames_per_job_count", "frames_per_job_share")
        found |= set(chance.sample(frames, count))
    return sorted(found)


def _count(spec: Document, size: int, count: str, share: str) -> int:
    """How many of ``size`` frames; a share is rounded down, to at least one, as in CVAT."""
    if spec.get(count):
        if int(spec[count]) > size:
            raise ValueError(f"{count}: there are only {size} frames")
        return int(spec[count])
    if not spec.get(share):
        raise ValueError(f"one of {count} and {share} is needed")
    if not 0 < float(spec[share]) <= 1:
        raise ValueError(f"{share}: a share is above 0 and at most 1")
    return max(1, int(size * float(spec[share])))


def check_creation(spec: Document) -> None:
    """Refuse ``validation_params`` that CVAT refuses before it looks at any picture.

    Raises:
        ValueError: they contradict themselves.
    """
    if spec.get("mode") not in MODES:
        raise ValueError(f'validation_params: "{spec.get("mode")}" is not a valid choice.')
    if spec["mode"] != "gt_pool":
        return
    if spec.get("frame_selection_method") not in POOL_METHODS:
        raise ValueError(f'"frame_selection_method" must be one of {", ".join(POOL_METHODS)}')
    _one_of(spec, "frames_per_job_count", "frames_per_job_share")
    if spec["frame_selection_method"] == "random_uniform":
        _one_of(spec, "frame_count", "frame_share")
    elif not spec.get("frames"):
        raise ValueError('The "frames" field is required')


def _one_of(spec: Document, *names: str) -> None:
    given = [name for name in names if name in spec]
    listed = ", ".join(f'"{name}"' for name in names)
    if not given:
        raise ValueError(f"One of the fields {listed} required")
    if len(given) > 1:
        raise ValueError(f"Only 1 of the fields {listed} can be used")


def pool_layout(spec: Document, names: Sequence[str], segment_size: int, sorting: str) -> PoolLayout:
    """Lay a task with honeypots out: pool pictures at the end, placeholders for them mixed into every job.

    Args:
        spec: ``validation_params`` of mode ``gt_pool``.
        names: the pictures.
        segment_size: pictures of its own in each job; 0: all in one.
        sorting: ``sorting_method`` of the upload.

    Raises:
        ValueError: the specification cannot be fulfilled.
    """
    if sorting != "random":
        raise ValueError('validation mode "gt_pool" can only be used with "random" sorting')
    chance = random.Random(spec.get("random_seed"))  # noqa: S311 - a choice that can be repeated, no secret
    natural = sorted(range(len(names)), key=lambda place: _natural(names[place]))
    pool = _pool(spec, names, natural, chance)
    if len(pool) >= len(names):
        raise ValueError("Cannot create task: too few non-honeypot frames left after selecting validation frames")
    own = [place for place in natural if place not in pool]
    chance.shuffle(own)
    size = segment_size or len(names)
    if share := spec.get("frames_per_job_share"):
        wanted = max(1, int(share * segment_size))
    else:
        wanted = int(spec["frames_per_job_count"])
        if len(pool) < wanted and spec.get("frame_count"):
            raise ValueError(f"The requested number of validation frames per job ({wanted}) is greater than the pool")
    per_job = min(len(pool), wanted)
    used = dict.fromkeys(pool, 0)
    order: list[int] = []
    jobs: list[range] = []
    shown: dict[int, int] = {}
    for start in range(0, len(own), size):
        traps = sorted(pool, key=lambda place: (used[place], chance.random()))[:per_job]
        for place in traps:
            used[place] += 1
        inside = [*own[start : start + size], *traps]
        chance.shuffle(inside)
        first = len(order)
        order += inside
        jobs.append(range(first, len(order)))
        shown |= {first + n: place for n, place in enumerate(inside) if place in traps}
    real = {place: len(order) + n for n, place in enumerate(pool)}
    honeypots = {frame: real[place] for frame, place in shown.items()}
    last = range(len(order), len(order) + len(pool))
    return PoolLayout([*order, *pool], jobs, last, honeypots, per_job)


def _pool(spec: Document, names: Sequence[str], natural: Sequence[int], chance: random.Random) -> list[int]:
    """Places of the pool's pictures, in the order of their names."""
    if spec["frame_selection_method"] == "manual":
        unknown = sorted(set(spec["frames"]) - set(names))
        if unknown:
            raise ValueError(f"Unknown validation frames requested: {', '.join(unknown)}")
        return [place for place in natural if names[place] in spec["frames"]]
    if count := spec.get("frame_count"):
        if len(names) <= count:
            raise ValueError(f"The number of validation frames requested ({count}) must be less than {len(names)}")
    else:
        count = max(1, int(len(names) * float(spec["frame_share"])))
    drawn = chance.sample(list(natural), min(count, len(names)))
    return [place for place in natural if place in drawn]


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sorts img2 before img10."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]


def layout_of(task: Document, jobs: Sequence[Document]) -> Document:
    """What ``GET /api/tasks/{id}/validation_layout`` answers."""
    truth = next((job for job in jobs if job["type"] == "ground_truth"), None)
    if truth is None:
        return {"mode": None, "frames_per_job_count": None}
    frames = truth["frames"]
    chosen = frames if frames is not None else list(range(truth["start_frame"], truth["stop_frame"] + 1))
    body = {
        "mode": task.get("validation_mode") or "gt",
        "frames_per_job_count": task.get("honeypots_per_job"),
        "validation_frames": chosen,
        "disabled_frames": task.get("disabled_frames") or [],
    }
    if body["mode"] == "gt_pool":
        body |= job_layout(task, range(task["size"]))
    return body


def job_layout(task: Document, span: range) -> Document:
    """What ``GET /api/jobs/{id}/validation_layout`` answers of a job with these frames."""
    if task.get("validation_mode") != "gt_pool":
        return {}
    inside = {frame: real for frame, real in honeypots_of(task).items() if frame in span}
    return {
        "honeypot_count": len(inside),
        "honeypot_frames": list(inside),
        "honeypot_real_frames": list(inside.values()),
    }


def honeypots_of(task: Document) -> dict[int, int]:
    """Placeholder -> pool frame, by frame."""
    kept: Mapping[str, int] = task.get("honeypots") or {}
    return {frame: kept[str(frame)] for frame in sorted(map(int, kept))}


def chosen_at_creation(spec: Document, names: Sequence[str], jobs: Sequence[Document]) -> list[int]:
    """Frame numbers for the ground-truth job of a new task, whose ``validation_params`` name frames by their files.

    Raises:
        ValueError: the specification cannot be fulfilled.
    """
    unknown = set(spec.get("frames") or []) - set(names)
    if unknown:
        raise ValueError(f"validation_params: the task has no frames {', '.join(sorted(map(str, unknown)))}")
    numbers = [list(names).index(name) for name in spec.get("frames") or []]
    return chosen_frames({**spec, "frames": numbers}, len(names), jobs)
