"""LaMa (Suvorov et al. 2022): the TorchScript file ``big-lama.pt`` that the user supplies, as QUADRATSEG used it.

The file is pinned by its hash: TorchScript can run what it likes, so only the file somebody vouched for is opened.
"""

from __future__ import annotations

import hashlib
import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.removal.errors import RemovalError
from inference.removal.learned import Predicts
from inference.removal.mask import Mask
from inference.removal.tiles import lay, tiles_over

TILE_PX = 2048
"""Pictures up to this side are seen whole."""
CONTEXT_PX = 128
_MULTIPLE = 8
"""The network halves its input three times."""


class LamaEngine:
    """A TorchScript module of two inputs, picture and mask; loaded on first use, on a CUDA card where there is one."""

    name = "torch"

    def __init__(self, weights: bytes, sha256: str, reference: str | None = None) -> None:
        """Keep the bytes if they are the pinned file; ``reference``: what is written as the model.

        Raises:
            RemovalError: they are not.
        """
        digest = hashlib.sha256(weights).hexdigest()
        if digest != sha256.lower():
            raise RemovalError(
                f"the LaMa file is not the pinned one: its sha256 is {digest[:12]}..., pinned is "
                f"{sha256[:12]}...; restore the file, or pin the new one"
            )
        self.reference = reference or f"lama@file#{digest[:12]}"
        self.device = "cpu"
        self._weights, self._module = weights, None
        self._lock = threading.Lock()

    def predict(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """``(N, 4, H, W)`` to RGB ``(N, 3, H, W)``; one call at a time.

        Raises:
            RemovalError: torch is missing, the file is no TorchScript of two inputs, or the device fails.
        """
        with self._lock:
            torch, module = self._loaded()
            try:
                with torch.inference_mode():
                    seen = torch.from_numpy(batch).to(self.device)
                    painted = module(seen[:, :3], seen[:, 3:])
                return (painted.float().cpu().numpy(),)
            except Exception as error:  # torch raises RuntimeError and subclasses of its own
                raise RemovalError(f"LaMa could not paint a cut of {batch.shape[2:]}: {_first_line(error)}") from error

    def _loaded(self) -> tuple[Any, Any]:
        try:
            import torch
        except ImportError as error:
            raise RemovalError(
                "removal method 'lama' needs torch: pip install 'reefline[torch]', or choose 'learned'"
            ) from error
        if self._module is None:
            self.device = "cuda:0" if torch.cuda.is_available() else "cpu"
            try:
                self._module = torch.jit.load(io.BytesIO(self._weights), map_location=self.device).eval()
            except Exception as error:  # as above
                raise RemovalError(
                    f"the LaMa file is no TorchScript that torch can read ({_first_line(error)}): get big-lama.pt anew"
                ) from error
        return torch, self._module


def open_lama(path: Path, sha256: str) -> LamaEngine:
    """The engine of a LaMa file.

    Raises:
        RemovalError: the file cannot be read, or is not the pinned one.
    """
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise RemovalError(
            f"the LaMa file {path} cannot be read ({error.strerror}): put big-lama.pt there, or choose 'learned'"
        ) from error
    return LamaEngine(weights, sha256)


def paint_lama(image: NDArray[np.uint8], mask: Mask, engine: Predicts) -> NDArray[np.uint8]:
    """The picture as LaMa would paint it, ``(H, W, 3)`` uint8; meant for mask pixels only.

    Raises:
        RemovalError: the file is another model, or the device fails.
    """
    hole = mask.alpha > 0
    result = image.copy()
    for tile in tiles_over(hole, TILE_PX, CONTEXT_PX):
        rgb, part = image[tile.cut], hole[tile.cut]
        height, width = part.shape
        seen = np.dstack([rgb.astype(np.float32) / 255, part.astype(np.float32)]).transpose(2, 0, 1)
        # As LaMa's own evaluation does: what is missing to a multiple mirrors the picture.
        missing = [(0, 0), (0, -height % _MULTIPLE), (0, -width % _MULTIPLE)]
        painted = engine.predict(np.ascontiguousarray(np.pad(seen, missing, mode="symmetric")[None]))[0]
        if painted.shape[:2] != (1, 3) or painted.shape[2] < height or painted.shape[3] < width:
            raise RemovalError(f"LaMa gave {painted.shape} for a cut of {(height, width)}: this file is another model")
        lay(result, tile, painted[0].transpose(1, 2, 0) * np.float32(255), CONTEXT_PX)
    return result


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:160]
