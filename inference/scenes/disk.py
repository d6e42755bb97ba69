"""A set of benchmark scenes on disk: photos, masks if wanted, and ``truth.json``."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from inference.scenes.benchmark import SIZE, BenchmarkScene, render_scene
from inference.scenes.settings import setting
from inference.scenes.splits import split_seeds
from inference.scenes.textures import EDGE_SHARE, Textures
from labels.lattice import DEFAULT_LATTICE, load_topology

JPEG_QUALITY = 94
MASK_BITS = {"strings": 1, "tape": 2, "fish": 4, "growth": 8, "frame": 16}
"""Values that a mask picture adds up; ``strings`` are all pixels that strings changed, the others what is seen."""


@dataclass(frozen=True, slots=True)
class SetPlan:
    """What to write.

    Attributes:
        out: folder; made when absent.
        count: number of scenes.
        split: ``train``, ``validation`` or ``test``.
        start: number of the split's first seed to use.
        setting: name of the setting.
        size: (width, height) in pixels.
        lattice: name of a shipped topology or path of a YAML file.
        textures: folder of real photos to use as the bottom.
        edge_share: what to cut off each edge of those photos, where they show a frame of their own.
        masks: whether to write ``masks/*.png`` and ``clean/*.jpg`` too.
    """

    out: Path
    count: int
    split: str = "test"
    start: int = 0
    setting: str = "usual"
    size: tuple[int, int] = SIZE
    lattice: str = DEFAULT_LATTICE
    textures: Path | None = None
    edge_share: float = EDGE_SHARE
    masks: bool = False


def write_set(plan: SetPlan, jobs: int = 1, tell: Callable[[str], None] = lambda _: None) -> Path:
    """Write a set; the path of its ``truth.json``, which is written last.

    Args:
        plan: what to write.
        jobs: processes to paint with.
        tell: told after each scene.

    Raises:
        ValueError: the plan cannot be carried out: no such split, setting, lattice or textures, a bad picture size.
        OSError: the folder cannot be written.
    """
    setting(plan.setting)
    seeds = split_seeds(plan.split, plan.count, plan.start)
    _painter(plan)  # fails here, in words, not in a child process
    plan.out.mkdir(parents=True, exist_ok=True)
    if plan.masks:
        for name in ("masks", "clean"):
            (plan.out / name).mkdir(exist_ok=True)
    photos: list[dict[str, Any]] = []
    if jobs > 1 and len(seeds) > 1:
        # spawn: forking a process that already has threads may hang its child.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, _start_child, (plan,)) as pool:
            for truth in pool.map(_write_in_child, seeds):
                photos.append(truth)
                tell(f"{len(photos)}/{plan.count} {truth['file']}")
    else:
        paint = _painter(plan)
        for seed in seeds:
            photos.append(_write(plan, paint(seed)))
            tell(f"{len(photos)}/{plan.count} {photos[-1]['file']}")
    path = plan.out / "truth.json"
    about = {"split": plan.split, "setting": plan.setting, "lattice": plan.lattice, "mask_bits": MASK_BITS}
    path.write_text(json.dumps({**about, "photos": photos}), encoding="utf-8")
    return path


def _painter(plan: SetPlan) -> Callable[[int], BenchmarkScene]:
    topology = load_topology(plan.lattice)
    textures = None if plan.textures is None else Textures.of_folder(plan.textures, plan.edge_share)
    return lambda seed: render_scene(seed, plan.setting, topology=topology, size=plan.size, textures=textures)


_child: list[tuple[SetPlan, Callable[[int], BenchmarkScene]]] = []


def _start_child(plan: SetPlan) -> None:
    cv2.setNumThreads(1)  # the pool already uses every processor
    _child.append((plan, _painter(plan)))


def _write_in_child(seed: int) -> dict[str, Any]:
    plan, paint = _child[0]
    return _write(plan, paint(seed))


def _write(plan: SetPlan, scene: BenchmarkScene) -> dict[str, Any]:
    """Write one scene's files; what ``truth.json`` says of it."""
    stem = f"{plan.setting}_{scene.seed}"
    truth = {"file": f"{stem}.jpg", **scene.to_json()}
    _save(plan.out / f"{stem}.jpg", scene.image[..., ::-1])
    if plan.masks:
        clean = scene.clean()
        mask = sum(bit * scene.mask(kind).astype(np.uint8) for kind, bit in MASK_BITS.items() if kind != "strings")
        _save(plan.out / "masks" / f"{stem}.png", mask + MASK_BITS["strings"] * scene.changed(clean).astype(np.uint8))
        _save(plan.out / "clean" / f"{stem}.jpg", clean[..., ::-1])
        truth |= {"mask": f"masks/{stem}.png", "clean": f"clean/{stem}.jpg"}
    return truth


def _save(path: Path, picture: np.ndarray) -> None:
    done, data = cv2.imencode(path.suffix, picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise OSError(f"cannot encode {path.name}")
    path.write_bytes(data.tobytes())
