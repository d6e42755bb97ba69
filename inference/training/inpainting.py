"""The network behind ``removal: learned``, and what it learns from: clean reef and the same reef under strings."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from inference.removal.mask import Mask, measured_string_mask
from inference.scenes import render_quadrat, render_scene
from labels.lattice import load_topology

CROP_PX = 128
SIDES_PX = (1920, 1920, 1280, 2400)
"""Sides of rectified pictures to learn at; surveys usually take 1920."""
_LEVELS = 5
_LEAST_WEIGHT = 1e-3

Sample = NDArray[np.uint8]
"""``(CROP_PX, CROP_PX, 8)``: RGB under strings, RGB without, core, hole (0 or 255)."""


def pulled(stack: torch.Tensor, levels: int = _LEVELS) -> torch.Tensor:
    """Unknown pixels filled by means of known ones around, from coarse to fine (push-pull).

    Args:
        stack: ``(N, 4, H, W)``: colour times weight, and weight (the known share of a pixel).
    """
    pyramid = [stack]
    for _ in range(levels):
        pyramid.append(functional.avg_pool2d(pyramid[-1], 2))
    coarse = pyramid[-1][:, :3] / (pyramid[-1][:, 3:] + _LEAST_WEIGHT)
    for level in reversed(pyramid[:-1]):
        coarse = functional.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        coarse = level[:, :3] + (1 - level[:, 3:]) * coarse
    return coarse


class Painter(nn.Module):
    """A U-Net at half, quarter and eighth of the side, about 0.2 million parameters; corrects a smooth fill."""

    def __init__(self, widths: tuple[int, int, int] = (16, 32, 64)) -> None:
        """``widths``: channels of the three levels; multiples of 16 fill a processor's vector units."""
        super().__init__()
        a, b, c = widths
        self.stem = _layers(5, a, kernel=4, stride=2)
        self.down1 = nn.Sequential(_layers(a, b, stride=2), _layers(b, b))
        self.down2 = nn.Sequential(_layers(b, c, stride=2), _layers(c, c), _layers(c, c, dilation=2), _layers(c, c))
        self.join1, self.up1 = nn.Conv2d(c, b, 1), _layers(b, b)
        self.join0, self.up0 = nn.Conv2d(b, a, 1), _layers(a, a)
        self.head = nn.Conv2d(a, 3 * 4, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """``(N, 5, T, T)`` to ``(N, 3, T, T)``; see ``inference.removal.learned``."""
        colour, flags = seen[:, :3], seen[:, 3:]
        core, known = flags[:, :1], 1 - flags[:, 1:]
        # Half the side is enough: in the core nothing finer is known.
        filled = pulled(functional.avg_pool2d(torch.cat([colour * known, known], 1), 2))
        filled = functional.interpolate(filled, scale_factor=2.0, mode="bilinear", align_corners=False)
        base = colour + (filled - colour) * core
        half = self.stem(torch.cat([base - 0.5, flags], 1))
        quarter = self.down1(half)
        eighth = self.down2(quarter)
        x = self.up1(functional.relu(quarter + _doubled(self.join1(eighth))))
        x = self.up0(functional.relu(half + _doubled(self.join0(x))))
        return base + functional.pixel_shuffle(self.head(x), 2)


def _layers(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def scene_samples(seed: int, count: int = 64) -> list[Sample]:
    """Crops along the strings of one generated scene, with the mask as the pipeline would measure it."""
    rng = np.random.default_rng((seed, 55))
    side = int(rng.choice(SIDES_PX))
    strung, bare, nodes, gone = _scene_pair(seed, side, rng)
    # Nodes as a finder or a person gives them.
    nodes = nodes + rng.normal(0, 0.3, 2) + rng.normal(0, 0.4, nodes.shape)
    mask = measured_string_mask(as_jpeg(strung, 95), nodes, load_topology(), gone)
    ys, xs = np.nonzero(mask.alpha)
    samples = []
    for pick in rng.integers(len(ys), size=count):
        spot = np.array([ys[pick], xs[pick]]) - rng.integers(16, CROP_PX - 16, 2)
        y, x = np.clip(spot, 0, side - CROP_PX)
        cut = slice(y, y + CROP_PX), slice(x, x + CROP_PX)
        samples.append(_stacked(as_jpeg(strung[cut], 95), bare[cut], Mask(mask.alpha[cut], mask.core[cut])))
    return samples


def _scene_pair(
    seed: int, side: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float64], NDArray[np.bool_]]:
    """A straightened scene with and without strings, its nodes, and which of them are not there; of both generators."""
    if seed % 2:
        plain = render_quadrat(seed, difficulty=float(rng.uniform(0, 1)))
        nodes = plain.nodes_unit * (side - 1)
        return plain.rectified(side), plain.clean(side), nodes, np.zeros(len(nodes), bool)
    scene = render_scene(seed, "hard" if rng.random() < 0.3 else "usual")
    nodes = scene.frame.rectification(side).to_rectified(scene.frame.nodes)
    gone = np.array(scene.frame.node_states) != "visible"
    return scene.rectified(side), scene.rectified(side, scene.clean()), nodes, gone


def texture_crops(paths: list[Path], count: int, seed: int) -> list[NDArray[np.uint8]]:
    """Clean crops ``(CROP_PX, CROP_PX, 3)`` of pictures without strings, at several scales."""
    rng = np.random.default_rng((seed, 56))
    crops = []
    for path in paths:
        bgr = cv2.imread(str(path))
        if bgr is None:
            raise ValueError(f"{path} is no picture that can be read: take it out of the folder")
        picture = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        for _ in range(count):
            side = int(CROP_PX * rng.uniform(0.5, 1.6))
            y, x = (int(rng.integers(max(1, size - side))) for size in picture.shape[:2])
            cut = np.ascontiguousarray(picture[y : y + side, x : x + side])
            how = cv2.INTER_AREA if side > CROP_PX else cv2.INTER_LINEAR
            crops.append(cv2.resize(cut, (CROP_PX, CROP_PX), interpolation=how))
    return crops


def painted_sample(bare: NDArray[np.uint8], rng: np.random.Generator) -> Sample:
    """One to three strings of random width, colour and shadow painted on a clean crop, with a mask about right."""
    side = bare.shape[0]
    line, core, far = (np.zeros((side, side), np.uint8) for _ in range(3))
    width = float(rng.uniform(2, 13))
    fall = rng.normal(0, 1, 2)
    fall *= (rng.random() < 0.75) * rng.uniform(0, 18) / max(float(np.hypot(*fall)), 1e-6)
    turn = rng.uniform(0, np.pi)
    for number in range(int(rng.integers(1, 4))):
        angle = turn + (number % 2) * np.pi / 2 + rng.normal(0, 0.06)
        way = np.array([np.cos(angle), np.sin(angle)])
        middle = rng.uniform(0.15, 0.85, 2) * side
        ends = np.array([middle - way * 2 * side, middle + way * 2 * side])
        _line(line, ends, max(1, round(width)))
        # The mask is placed by a finder: a little off, a little wider.
        ends += rng.normal(0, 0.5, 2)
        reach = round(width + 3 + rng.uniform(0, 1.5))
        _line(core, ends, reach, cv2.LINE_8)
        for share in np.linspace(0, rng.uniform(0.9, 1.2), 5):
            _line(far, ends + fall * share, reach)
    alpha = line.astype(np.float32)[..., None] / 255
    moved = cv2.warpAffine(line, np.array([[1, 0, fall[0]], [0, 1, fall[1]]]) * 1.0, (side, side))
    shade = cv2.GaussianBlur(moved, (0, 0), float(rng.uniform(0.8, 3.5))).astype(np.float32)[..., None] / 255
    depth = rng.uniform(0.1, 0.6) * (1 + rng.uniform(-0.1, 0.1, 3))
    colour = _string_colour(rng)
    strung = bare * (1 - depth * shade) if fall.any() else bare.astype(np.float32)
    strung = strung * (1 - alpha) + colour * rng.uniform(0.75, 1.1) * alpha
    grain = bare - cv2.GaussianBlur(bare, (0, 0), 1.0).astype(np.float32)
    strung = cv2.GaussianBlur(strung, (0, 0), float(rng.uniform(0.3, 1.0))) * 1.0 + 0.7 * grain * (1 - alpha)
    # Outside the mask a photo shows what it shows: there both pictures are the strung one.
    seen = as_jpeg(np.clip(strung, 0, 255).astype(np.uint8), int(rng.integers(90, 98)))
    return _stacked(seen, bare, Mask(np.maximum(far, core), core > 0))


def _string_colour(rng: np.random.Generator) -> NDArray[np.float64]:
    """White, yellow, orange, grey or black cord, or anything."""
    cords = [(235, 230, 205), (240, 206, 96), (226, 128, 60), (120, 120, 115), (30, 30, 30)]
    return np.array(cords[rng.integers(5)] if rng.random() < 0.7 else rng.uniform(0, 255, 3), float)


def _line(canvas: NDArray[np.uint8], ends: NDArray[np.float64], width: int, kind: int = cv2.LINE_AA) -> None:
    start, stop = np.round(ends * 16).astype(int).tolist()
    cv2.line(canvas, start, stop, 255, width, kind, 4)


def as_jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """The picture as it comes back from the object store."""
    data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _stacked(strung: NDArray[np.uint8], bare: NDArray[np.uint8], mask: Mask) -> Sample:
    return np.dstack([strung, bare, mask.core.astype(np.uint8) * np.uint8(255), mask.hole])
