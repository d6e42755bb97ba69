"""Train the shipped coral segmenter on generated scenes and write it as ONNX with its card.

    python -m inference.training.train_segmenter --scenes 240 --minutes 14 --seed 3 --version 3 --out inference/models

A small U-Net (about 0.3 million parameters) on 2 processors. Needs torch and onnx: ``pip install 'reefline[train]'``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml
from torch import nn
from torch.nn import functional

from inference.engines import open_engine
from inference.scenes import TAXA
from inference.segmentation import CoreSegmenter, Options, segment
from inference.training.evaluate import average_precision
from inference.training.samples import HELD_OUT_FROM, PICTURE_PX, picture, setting_of, targets

NAME = "demo-corals"
CROP_PX = 384
BATCH = 6
STRIDE = 2


class Block(nn.Module):
    """Two 3x3 convolutions with batch normalisation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Channels in and out."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features to features of the same size."""
        return self.layers(x)


class Net(nn.Module):
    """U-Net with a strided stem; output at half the input's side: background and taxa, then the core logit."""

    def __init__(self, classes: int, widths: tuple[int, ...] = (20, 32, 56, 88)) -> None:
        """``classes``: number of taxa; ``widths``: channels of each level."""
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 5, stride=STRIDE, padding=2, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.down = nn.ModuleList(Block(a, b) for a, b in zip((widths[0], *widths[:-1]), widths, strict=True))
        self.up = nn.ModuleList(Block(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.head = nn.Conv2d(widths[0], classes + 2, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """RGB of 0..1 to logits at half the size."""
        # Water takes colour and contrast from the whole picture alike: both are set right before anything is looked at.
        centred = image - image.mean((2, 3), keepdim=True)
        contrast = centred.pow(2).mean((2, 3), keepdim=True).sqrt()
        x = self.stem(centred / (contrast + 0.03))
        kept = []
        for i, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if i else x)
            kept.append(x)
        for block, side in zip(self.up, kept[-2::-1], strict=True):
            x = block(torch.cat([functional.interpolate(x, scale_factor=2.0, mode="nearest"), side], 1))
        return self.head(x)


def _sample(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cv2.setNumThreads(1)
    image, outlines = picture(seed, inpainted=seed % 4 > 0, setting=setting_of(seed))
    return image, *targets(outlines, PICTURE_PX)


def painted(seeds: range, keep: Path | None = None) -> list[tuple[np.ndarray, ...]]:
    """Samples of some seeds; taken from the file ``keep`` when it is there, else written to it."""
    if keep and keep.exists():
        with np.load(keep) as parts:
            return list(zip(parts["image"], parts["taxa"], parts["core"], strict=True))
    with ProcessPoolExecutor(2) as pool:
        samples = list(pool.map(_sample, seeds))
    if keep:
        image, taxa, core = (np.stack(part) for part in zip(*samples, strict=True))
        np.savez_compressed(keep, image=image, taxa=taxa, core=core)
    return samples


def _crop(rng: np.random.Generator, sample: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    image, taxa, core = sample
    side = int(CROP_PX / rng.uniform(0.75, 1.35))
    side = min(side, PICTURE_PX)
    y, x = rng.integers(0, PICTURE_PX - side + 1, 2)
    cut = [part[y : y + side, x : x + side] for part in (image, taxa, core)]
    picture_ = cv2.resize(cut[0], (CROP_PX, CROP_PX), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
    maps = [cv2.resize(part, (CROP_PX // STRIDE,) * 2, interpolation=cv2.INTER_NEAREST_EXACT) for part in cut[1:]]
    turn, flip = int(rng.integers(4)), bool(rng.integers(2))
    parts = [np.rot90(part, turn) for part in (picture_, *maps)]
    parts = [part[:, ::-1] if flip else part for part in parts]
    light = rng.normal(1, 0.12) * rng.normal(1, 0.07, 3)
    parts[0] = np.clip(parts[0] * light + rng.normal(0, 0.03) + rng.normal(0, 0.012, parts[0].shape), 0, 1)
    return tuple(np.ascontiguousarray(part) for part in parts)


def _loss(logits: torch.Tensor, taxa: torch.Tensor, core: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    classes = functional.cross_entropy(logits[:, :-1], taxa, weight=weights)
    cores = functional.binary_cross_entropy_with_logits(logits[:, -1], core)
    share = torch.softmax(logits[:, :-1], 1)[:, 1:]
    truth = functional.one_hot(taxa, logits.shape[1] - 1)[..., 1:].permute(0, 3, 1, 2).float()
    overlap = (2 * (share * truth).sum((0, 2, 3)) + 1) / (share.sum((0, 2, 3)) + truth.sum((0, 2, 3)) + 1)
    return classes + cores + (1 - overlap.mean())


def train(samples: list[tuple[np.ndarray, ...]], seed: int, minutes: float, begin: Path | None = None) -> Net:
    """Train until the time is up; the learning rate follows one cycle over it.

    Args:
        samples: picture, taxa and cores of each scene.
        seed: of weights, crops and their order.
        minutes: how long.
        begin: weights of an earlier run to go on from.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Net(len(TAXA))
    if begin:
        net.load_state_dict(torch.load(begin, weights_only=True))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    weights = torch.tensor([0.6] + [1.4] * len(TAXA))
    started, step = time.monotonic(), 0
    net.train()
    while (share := (time.monotonic() - started) / (minutes * 60)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = (2e-3 if begin else 4e-3) * min(1.0, share / 0.08) * (1 + np.cos(np.pi * share)) / 2 + 1e-5
        crops = [_crop(rng, samples[int(rng.integers(len(samples)))]) for _ in range(BATCH)]
        image = torch.from_numpy(np.stack([c[0] for c in crops])).permute(0, 3, 1, 2).float()
        taxa = torch.from_numpy(np.stack([c[1] for c in crops])).long()
        core = torch.from_numpy(np.stack([c[2] for c in crops])).float()
        loss = _loss(net(image), taxa, core, weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 50 == 0:
            print(f"step {step}  {share:5.0%}  loss {loss.item():.3f}", flush=True)
    return net.eval()


def export(net: Net, path: Path) -> None:
    """Write ONNX with a fixed input of ``(1, 3, PICTURE_PX, PICTURE_PX)``."""
    example = torch.zeros(1, 3, PICTURE_PX, PICTURE_PX)
    torch.onnx.export(
        net, (example,), str(path), input_names=["image"], output_names=["logits"], opset_version=17, dynamo=False
    )


def held_out(path: Path, scenes: int) -> dict[str, float]:
    """Average precision on scenes that were never trained on, strings inpainted."""
    engine = open_engine("onnxruntime", path.read_bytes())
    model = CoreSegmenter(engine, TAXA, PICTURE_PX, "candidate", Options(min_score=0.05))
    pairs = []
    for number in range(scenes):
        image, outlines = picture(HELD_OUT_FROM + number, inpainted=True, setting=setting_of(HELD_OUT_FROM + number))
        pairs.append((segment(image, model), outlines))
    return average_precision(pairs)


def main() -> None:
    """Make samples, train, export, measure, write the registry entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=160)
    parser.add_argument("--held-out", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--version", default="1")
    parser.add_argument("--begin", type=Path, help="weights (.pt) of an earlier run to go on from")
    parser.add_argument("--painted", type=Path, help="file that keeps the painted scenes for the next run (.npz)")
    parser.add_argument("--out", type=Path, default=Path("inference/models"))
    options = parser.parse_args()
    torch.set_num_threads(2)
    first = options.seed * 10_000
    samples = painted(range(first, first + options.scenes), options.painted)
    print(f"{len(samples)} scenes painted", flush=True)
    net = train(samples, options.seed, options.minutes, options.begin)
    torch.save(net.state_dict(), options.out / f"{NAME}-{options.version}.pt")
    path = options.out / f"{NAME}-{options.version}.onnx"
    export(net, path)
    figures = {name: round(value, 3) for name, value in held_out(path, options.held_out).items()}
    print(json.dumps(figures))
    card = {
        "name": NAME,
        "version": options.version,
        "task": "coral-segmentation",
        "engine": "onnxruntime",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "labels": list(TAXA),
        "input_px": PICTURE_PX,
        "licence": "MIT",
        "trained_on": f"{options.scenes} generated scenes (sample survey, usual, hard), seeds from "
        f"{options.seed * 10_000}, {options.minutes:g} minutes on 2 CPU cores",
        "metrics": figures,
    }
    entry = options.out / f"{NAME}-{options.version}.yaml"
    entry.write_text(yaml.safe_dump([card], sort_keys=False, width=118), encoding="utf-8")
    print(f"{entry} is the entry for models.yaml")


if __name__ == "__main__":
    main()
