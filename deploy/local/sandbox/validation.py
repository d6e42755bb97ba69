"""Which frames a ground-truth job gets: chosen by hand, over the whole task, or from each job."""

from __future__ import annotations

import random
from collections.abc import Sequence

from deploy.local.sandbox.store import Document

MODES = ("gt", "gt_pool")
METHODS = ("manual", "random_uniform", "random_per_job")


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


def chosen_at_creation(spec: Document, names: Sequence[str], jobs: Sequence[Document]) -> list[int]:
    """Frame numbers for the ground-truth job of a new task, whose ``validation_params`` name frames by their files.

    Raises:
        ValueError: the specification cannot be fulfilled.
    """
    if spec.get("mode") not in MODES:
        raise ValueError(f'validation_params: "{spec.get("mode")}" is not a valid choice.')
    unknown = set(spec.get("frames") or []) - set(names)
    if unknown:
        raise ValueError(f"validation_params: the task has no frames {', '.join(sorted(map(str, unknown)))}")
    numbers = [list(names).index(name) for name in spec.get("frames") or []]
    return chosen_frames({**spec, "frames": numbers}, len(names), jobs)
