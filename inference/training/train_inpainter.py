"""Train the shipped string painter and write it as ONNX with its card.

    python -m inference.training.train_inpainter --scenes 40 --steps 4000 --seed 5 --textures DIR

Half of what it learns from are generated scenes with and without their strings, half are random strings painted on
clean pictures: crops of those scenes, and of the pictures in ``--textures`` (every fourth of them is held out).
Needs torch and onnx: ``pip install 'reefline[train]'``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch.nn import functional

from inference.engines import open_engine
from inference.removal import Mask, remove
from inference.removal.learned import TILE_PX
from inference.training.inpainting import Painter, Sample, painted_sample, scene_samples, texture_crops
from inference.training.samples import HELD_OUT_FROM

NAME = "string-painter"
BATCH = 10
TEXTURE_CROPS = 60
"""Per picture."""
_EDGE_WEIGHT = 0.3


def train(samples: Sequence[Sample], bare: Sequence[NDArray[np.uint8]], seed: int, steps: int) -> Painter:
    """Train; the learning rate follows one cycle over the steps.

    Args:
        samples: crops with their truth.
        bare: clean crops to paint strings on.
        seed: of weights and order.
        steps: batches.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Painter()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    shown = 0.0
    net.train()
    with ThreadPoolExecutor(1) as ahead:  # the next batch is made while the network learns from this one
        coming = ahead.submit(batch_of, samples, bare, rng)
        for step in range(1, steps + 1):
            share = step / steps
            for group in optimizer.param_groups:
                group["lr"] = 4e-3 * min(1.0, share / 0.05) * (1 + np.cos(np.pi * share)) / 2 + 1e-5
            view, truth = coming.result()
            coming = ahead.submit(batch_of, samples, bare, rng)
            loss = painting_loss(net(view), truth, view[:, 4:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            shown = 0.98 * shown + 0.02 * loss.item()
            if step % 200 == 0:
                print(f"step {step}  loss {shown / (1 - 0.98**step):.4f}", flush=True)
    return net.eval()


def batch_of(
    samples: Sequence[Sample], bare: Sequence[NDArray[np.uint8]], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Views ``(BATCH, 5, P, P)`` and clean pictures ``(BATCH, 3, P, P)``, turned and relit at random."""
    views, truths = [], []
    for number in range(BATCH):
        if number % 2 or not len(bare):
            sample = samples[int(rng.integers(len(samples)))]
        else:
            sample = painted_sample(bare[int(rng.integers(len(bare)))], rng)
        sample = np.rot90(sample, int(rng.integers(4)))
        sample = (sample[:, ::-1] if rng.integers(2) else sample).astype(np.float32) / 255
        light = rng.uniform(0.75, 1.2) * rng.normal(1, 0.08, 3)
        views.append(np.dstack([np.clip(sample[..., :3] * light, 0, 1), sample[..., 6:]]))
        truths.append(np.clip(sample[..., 3:6] * light, 0, 1))
    return tuple(torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2).float().contiguous() for part in (views, truths))


def painting_loss(painted: torch.Tensor, truth: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
    """Mean error in the hole, of colours and of steps between neighbouring pixels (so that texture goes on)."""
    # Outside the hole the picture itself stays, so steps over the mask's edge count as they will be seen.
    laid = truth + (painted - truth) * hole
    count = hole.sum() + 1
    error = torch.sqrt((painted - truth) ** 2 + 1e-4) * hole
    steps = sum(
        functional.l1_loss(torch.diff(laid, dim=axis), torch.diff(truth, dim=axis), reduction="sum") for axis in (2, 3)
    )
    return (error.sum() + _EDGE_WEIGHT * steps) / (3 * count)


def export(net: Painter, path: Path) -> None:
    """Write ONNX with input ``(n, 5, TILE_PX, TILE_PX)``, any n."""
    some = {"view": {0: "n"}, "painted": {0: "n"}}
    torch.onnx.export(
        net.eval(),
        (torch.zeros(2, 5, TILE_PX, TILE_PX),),
        str(path),
        input_names=["view"],
        output_names=["painted"],
        dynamic_axes=some,
        opset_version=17,
        dynamo=False,
    )


def held_out(path: Path, samples: Sequence[Sample]) -> dict[str, float]:
    """PSNR in the mask of crops never trained on: of the network, of Telea and of Navier-Stokes, in dB."""
    engine = open_engine("onnxruntime", path.read_bytes())
    figures = {}
    for method in ("learned", "telea", "ns"):
        squared, pixels = 0.0, 0
        for sample in samples:
            strung, bare = (np.ascontiguousarray(sample[..., k : k + 3]) for k in (0, 3))
            mask = Mask(sample[..., 7].copy(), sample[..., 6] > 0)
            clean = remove(strung, mask, method, engine=engine)
            squared += float(((clean.astype(float) - bare)[mask.alpha > 0] ** 2).sum())
            pixels += 3 * int((mask.alpha > 0).sum())
        figures[f"{method}_psnr_db"] = round(10 * float(np.log10(255**2 * pixels / max(squared, 1e-9))), 2)
    return figures


def register(folder: Path, card: dict[str, Any]) -> None:
    """Put the card into ``folder/models.yaml``, in place of one of the same name and version."""
    path = folder / "models.yaml"
    text = path.read_text(encoding="utf-8") if path.exists() else "models: []\n"
    others = [
        entry
        for entry in yaml.safe_load(text)["models"]
        if (entry["name"], str(entry["version"])) != (card["name"], card["version"])
    ]
    head = "# The shipped models. The hash is checked at every load.\n"
    path.write_text(head + yaml.safe_dump({"models": [*others, card]}, sort_keys=False), encoding="utf-8")


def painted_scenes(seeds: Sequence[int], cache: Path | None) -> NDArray[np.uint8]:
    """Crops of each scene ``(seeds, crops, P, P, 8)``; taken from the cache when it holds the same seeds."""
    if cache is not None and cache.exists():
        with np.load(cache) as kept:
            if kept["seeds"].tolist() == list(seeds):
                return kept["scenes"]
    with ProcessPoolExecutor(2) as pool:
        scenes = np.stack(list(pool.map(_scene, seeds)))
    if cache is not None:
        np.savez(cache, seeds=np.array(seeds), scenes=scenes)
    return scenes


def _scene(seed: int) -> NDArray[np.uint8]:
    cv2.setNumThreads(1)
    return np.stack(scene_samples(seed))


def main() -> None:
    """Make samples, train, export, measure, write the registry entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--held-out", type=int, default=8)
    parser.add_argument("--textures", type=Path, help="folder of pictures without strings")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--cache", type=Path, help="file that keeps the painted scenes for the next run")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--version", default="1")
    parser.add_argument("--out", type=Path, default=Path("inference/models"))
    options = parser.parse_args()
    torch.set_num_threads(2)
    first = options.seed * 10_000
    seeds = [*range(first, first + options.scenes), *range(HELD_OUT_FROM, HELD_OUT_FROM + options.held_out)]
    scenes = painted_scenes(seeds, options.cache)
    samples = [s for scene in scenes[: options.scenes] for s in scene]
    paths = sorted(p for p in options.textures.rglob("*.jpg")) if options.textures else []
    seen, unseen = [p for i, p in enumerate(paths) if i % 4], paths[::4]
    textures = texture_crops(seen, TEXTURE_CROPS, options.seed)
    print(f"{len(samples)} crops of scenes, {len(textures)} of {len(seen)} pictures", flush=True)
    net = train(samples, [*textures, *(s[..., 3:6] for s in samples[::3])], options.seed, options.steps)
    path = options.out / f"{NAME}-{options.version}.onnx"
    export(net, path)
    figures = held_out(path, [s for scene in scenes[options.scenes :] for s in scene])
    rng = np.random.default_rng(options.seed)
    if unseen:
        real = [painted_sample(crop, rng) for crop in texture_crops(unseen, 40, options.seed)]
        figures |= {f"photos_{name}": value for name, value in held_out(path, real).items()}
    print(json.dumps(figures))
    on_photos = f" and strings painted on {len(seen)} photos" if seen else ""
    card = {
        "name": NAME,
        "version": options.version,
        "task": "inpainting",
        "engine": "onnxruntime",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "labels": [],
        "input_px": TILE_PX,
        "licence": "MIT",
        "trained_on": f"{options.scenes} generated scenes, seeds from {first},{on_photos}; "
        f"{options.steps} steps of {BATCH} crops",
        "metrics": figures,
    }
    register(options.out, card)


if __name__ == "__main__":
    main()
