"""Train the shipped finders of corners and crossings on generated scenes, and write them as ONNX with their cards.

    python -m inference.training.train_finders corners --steps 1500
    python -m inference.training.train_finders crossings --steps 1500

Small U-Nets (0.6 and 0.2 million parameters) on one processor. Needs torch and onnx: ``pip install 'reefline[train]'``.
What the whole finders then reach is measured by ``calibrate_finders`` and ``bench/bench_seeing.py``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from numpy.random import Generator
from numpy.typing import NDArray

from inference.engines import open_engine
from inference.heatmaps import peaks
from inference.training.finder_augment import Picture
from inference.training.finder_net import CORNER_WIDTHS, CROSSING_WIDTHS, STRIDE, FinderNet, export, loss
from inference.training.finder_samples import bottoms, painted_scenes
from inference.training.finder_targets import (
    CORNER_PX,
    CROSSING_PX,
    Maps,
    Stock,
    corner_sample,
    crossing_sample,
)

BATCH = 8
VALIDATION_FROM = 900_000
_MATCH_CELLS = 1.5


@dataclass(frozen=True, slots=True)
class Recipe:
    """What tells one finder from the other; ``across`` and ``down``: order of the maps in a mirrored picture."""

    name: str
    task: str
    labels: tuple[str, ...]
    hills: int
    widths: tuple[int, ...]
    input_px: int
    sample: Callable[[Generator, Stock], tuple[Picture, Maps]]
    across: list[int]
    down: list[int]


RECIPES = {
    "corners": Recipe(
        "frame-corners",
        "corners",
        ("1", "2", "3", "4", "opening"),
        4,
        CORNER_WIDTHS,
        CORNER_PX,
        corner_sample,
        [1, 0, 3, 2, 4],
        [3, 2, 1, 0, 4],
    ),
    "crossings": Recipe(
        "string-crossings",
        "lattice",
        ("crossing", "string"),
        1,
        CROSSING_WIDTHS,
        CROSSING_PX,
        crossing_sample,
        [0, 1],
        [0, 1],
    ),
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """Samples drawn beforehand: images ``(n, 3, S, S)`` uint8 and truth maps ``(n, maps, S / 4, S / 4)`` float16."""

    images: NDArray[np.uint8]
    maps: NDArray[np.float16]


def draw(recipe: Recipe, stock: Stock, seed: int, count: int, workers: int = 2) -> Drawn:
    """Draw samples side by side; each has a seed of its own, so the number of workers changes nothing."""
    seeds = [(seed, number) for number in range(count)]
    if workers == 1:
        _begin(recipe.name, stock)
        rows = [_draw_one(one) for one in seeds]
    else:
        # Not forked: torch's threads do not survive a fork.
        start = {"mp_context": get_context("spawn"), "initializer": _begin, "initargs": (recipe.name, stock)}
        with ProcessPoolExecutor(workers, **start) as pool:
            rows = list(pool.map(_draw_one, seeds, chunksize=32))
    return Drawn(np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows]))


_WORKER: dict[str, Any] = {}
"""Recipe and stock of a worker process, set once when it starts."""


def _begin(name: str, stock: Stock) -> None:
    cv2.setNumThreads(1)
    _WORKER.update(sample=next(r.sample for r in RECIPES.values() if r.name == name), stock=stock)


def _draw_one(seeds: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    image, maps = _WORKER["sample"](np.random.default_rng(seeds), _WORKER["stock"])
    return np.round(image * 255).astype(np.uint8).transpose(2, 0, 1), maps.astype(np.float16)


def batches(recipe: Recipe, drawn: Drawn, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches, each mirrored at random; mirrored corners change their names."""
    rng = np.random.default_rng(seed)
    while True:
        for chosen in np.split(rng.permutation(len(drawn.images)), range(BATCH, len(drawn.images), BATCH)):
            image, maps = drawn.images[chosen], drawn.maps[chosen]
            if rng.random() < 0.5:
                image, maps = image[..., ::-1], maps[..., ::-1][:, recipe.across]
            if rng.random() < 0.5:
                image, maps = image[..., ::-1, :], maps[..., ::-1, :][:, recipe.down]
            scaled = torch.from_numpy(np.ascontiguousarray(image)).float() / 255
            yield scaled, torch.from_numpy(np.ascontiguousarray(maps)).float()


def train(recipe: Recipe, drawn: Drawn, seed: int, steps: int, start: Path | None = None) -> FinderNet:
    """Train for ``steps`` batches; the learning rate follows one cycle. ``start``: weights to go on from."""
    torch.manual_seed(seed)
    net = FinderNet(len(recipe.labels), recipe.widths)
    if start is not None:
        net.load_state_dict(torch.load(start, weights_only=True))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    top = 3e-3 if start is None else 1.2e-3
    mean = 0.0
    for step, (image, truth) in zip(range(steps), batches(recipe, drawn, seed), strict=False):
        share = step / steps
        for group in optimizer.param_groups:
            group["lr"] = top * min(1.0, share / 0.05) * (1 + np.cos(np.pi * share)) / 2 + 1e-5
        value = loss(net.logits(image), truth, recipe.hills)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimizer.step()
        mean = value.item() if step == 0 else 0.98 * mean + 0.02 * value.item()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step} of {steps}  loss {mean:.3f}", flush=True)
    return net.eval()


def held_out(recipe: Recipe, path: Path, stock: Stock, seed: int, count: int = 160) -> dict[str, float]:
    """Recall, precision and distance of the peaks on fresh augmented samples of scenes that were not trained on."""
    engine = open_engine("onnxruntime", path.read_bytes())
    rng = np.random.default_rng(seed)
    hit, wanted, painted, miss = 0, 0, 0, []
    for _ in range(count):
        image, truth = recipe.sample(rng, stock)
        square = np.zeros((3, recipe.input_px, recipe.input_px), np.float32)
        square[:, : image.shape[0], : image.shape[1]] = image.transpose(2, 0, 1)
        maps = engine.predict(square[None])[0][0][:, : image.shape[0] // STRIDE, : image.shape[1] // STRIDE]
        for found, real in zip(maps[: recipe.hills], truth, strict=False):
            spots = peaks(found, 0.3)[0]
            true = peaks(real, 0.9)[0]
            gap = np.hypot(*(spots[:, None] - true[None]).transpose(2, 0, 1))
            near = gap.min(axis=0) if len(spots) and len(true) else np.full(len(true), np.inf)
            hit, wanted, painted = hit + int((near < _MATCH_CELLS).sum()), wanted + len(true), painted + len(spots)
            miss += list(near[near < _MATCH_CELLS] * STRIDE)
    figures = {"recall": hit / wanted, "precision": hit / max(painted, 1), "mean_px": float(np.mean(miss or [np.inf]))}
    return {name: round(value, 4) for name, value in figures.items()}


def register(card: dict[str, object], folder: Path) -> None:
    """Put the card in ``models.yaml``, in place of one with the same name and version."""
    path = folder / "models.yaml"
    text = path.read_text(encoding="utf-8")
    entries = yaml.safe_load(text)["models"]
    same = [i for i, e in enumerate(entries) if (e["name"], str(e["version"])) == (card["name"], card["version"])]
    entries = [e for i, e in enumerate(entries) if i not in same] + [card]
    comments = [line for line in text.splitlines() if line.startswith("#")]
    body = yaml.safe_dump({"models": entries}, sort_keys=False, allow_unicode=True, width=118)
    path.write_text("\n".join([*comments, body]), encoding="utf-8")


def main() -> None:
    """Paint scenes, train, export, measure, write the registry entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=sorted(RECIPES))
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--bottoms", type=int, default=90)
    parser.add_argument("--first-seed", type=int, default=510_000, help="scenes are painted from this seed up")
    parser.add_argument("--samples", type=int, default=2400, help="drawn from scenes and bottoms before training")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--version", default="1")
    parser.add_argument("--start", type=Path, help="weights (.pt) to go on from")
    parser.add_argument("--cache", type=Path, default=Path("build/finder-scenes"), help="painted scenes are kept here")
    parser.add_argument("--out", type=Path, default=Path("inference/models"))
    options = parser.parse_args()
    # On a busy machine two threads wait for each other longer than they work.
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    cv2.setNumThreads(1)
    recipe = RECIPES[options.what]
    seeds = range(options.first_seed, options.first_seed + options.scenes)
    ground = bottoms(range(500_000, 500_000 + options.bottoms), options.cache)
    stock = Stock(*painted_scenes(seeds, options.cache), ground)
    unseen = Stock(*painted_scenes(range(VALIDATION_FROM, VALIDATION_FROM + 16), options.cache), ground)
    print(f"{len(stock.photos)} scenes painted", flush=True)
    drawn = draw(recipe, stock, options.seed, options.samples)
    print(f"{len(drawn.images)} samples drawn", flush=True)
    began = time.monotonic()
    net = train(recipe, drawn, options.seed, options.steps, options.start)
    minutes = (time.monotonic() - began) / 60
    torch.save(net.state_dict(), options.cache / f"{recipe.name}-{options.version}.pt")
    path = options.out / f"{recipe.name}-{options.version}.onnx"
    export(net, path, recipe.input_px)
    figures = held_out(recipe, path, unseen, options.seed)
    print(json.dumps(figures))
    register(
        {
            "name": recipe.name,
            "version": options.version,
            "task": recipe.task,
            "engine": "onnxruntime",
            "file": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "labels": list(recipe.labels),
            "input_px": recipe.input_px,
            "licence": "MIT",
            "trained_on": f"{options.scenes} generated scenes, seeds from {options.first_seed}, and strings and frames "
            f"drawn on {options.bottoms} bottoms, {options.steps} steps in {minutes:.0f} minutes on one CPU core",
            "metrics": figures,
        },
        options.out,
    )


if __name__ == "__main__":
    main()
