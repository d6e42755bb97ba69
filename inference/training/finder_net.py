"""The finders' network: a small U-Net that paints maps at a quarter of its input's side, and its loss."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

STRIDE = 4
CORNER_WIDTHS = (24, 32, 48, 72, 96)
CROSSING_WIDTHS = (24, 40, 64)
_FOCAL, _NEAR = 2, 4


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class FinderNet(nn.Module):
    """RGB of 0..1 ``(N, 3, S, S)`` to probability maps ``(N, maps, S / 4, S / 4)``."""

    def __init__(self, maps: int, widths: tuple[int, ...], stem: int = 12) -> None:
        """``widths``: channels at strides 4, 8, 16 and so on; ``stem``: channels at stride 2."""
        super().__init__()
        self.stem = nn.Sequential(_convolution(3, stem, 2), _convolution(stem, stem))
        self.down = nn.ModuleList(
            nn.Sequential(_convolution(a, b, 2), _convolution(b, b))
            for a, b in zip((stem, *widths[:-1]), widths, strict=True)
        )
        self.up = nn.ModuleList(
            nn.Sequential(_convolution(a + b, b), _convolution(b, b))
            for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], maps, 1)
        nn.init.constant_(self.head.bias, -3.0)

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """The maps before the sigmoid."""
        x = self.stem(image - 0.5)
        kept = []
        for block in self.down:
            x = block(x)
            kept.append(x)
        for block, side in zip(self.up, kept[-2::-1], strict=True):
            x = block(torch.cat([functional.interpolate(x, scale_factor=2.0, mode="nearest"), side], 1))
        return self.head(x)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Probabilities 0..1."""
        return torch.sigmoid(self.logits(image))


def loss(logits: torch.Tensor, truth: torch.Tensor, peaks: int) -> torch.Tensor:
    """Focal loss for the first ``peaks`` maps, whose truth are small hills of height 1; cross entropy for the others.

    Source of the first: Zhou et al., Objects as Points, 2019, equation 1.
    """
    hills, value = truth[:, :peaks], logits[:, :peaks]
    chance = torch.sigmoid(value)
    top = hills > 0.99
    hit = -functional.logsigmoid(value) * (1 - chance) ** _FOCAL * top
    miss = -functional.logsigmoid(-value) * chance**_FOCAL * (1 - hills) ** _NEAR * ~top
    focal = (hit.sum() + miss.sum()) / top.sum().clamp(min=1)
    return focal + 4.0 * functional.binary_cross_entropy_with_logits(logits[:, peaks:], truth[:, peaks:])


def export(net: FinderNet, path: Path, side_px: int) -> None:
    """Write ONNX: input ``(N, 3, side_px, side_px)``, any N; one output with the probability maps."""
    example = torch.zeros(1, 3, side_px, side_px)
    names = {"input_names": ["image"], "output_names": ["maps"], "dynamic_axes": {"image": {0: "n"}, "maps": {0: "n"}}}
    torch.onnx.export(net.eval(), (example,), str(path), opset_version=17, dynamo=False, **names)
