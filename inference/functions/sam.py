"""Segment Anything: the picture's embedding, from which CVAT's page cuts out what the annotator clicks on.

CVAT's Segment Anything plugin runs the small decoder in the browser and asks the server once per picture for the
encoder's output. The decoder that CVAT ships belongs to ViT-H, so the encoder must be ViT-H's too. reefline has no
Segment Anything weights: the user gives a file, as ONNX (one file, so below 2 GB: half precision) or TorchScript.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.engines import EngineError, open_engine
from inference.functions.detectors import FunctionSetupError, Picture

SIDE_PX = 1024
"""The encoder sees a square of this side (Kirillov et al. 2023, "Segment Anything")."""
EMBEDDING = (1, 256, 64, 64)
# Mean and spread of ImageNet's RGB, 0..255, as the weights were trained with.
_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
_SPREAD = np.array([58.395, 57.12, 57.375], np.float32)
_HASH_LENGTH = 64
_BLOCK = 1 << 20


class SamEncoder:
    """An image encoder of Segment Anything: ``(1, 3, 1024, 1024)`` float32 in, ``(1, 256, 64, 64)`` out."""

    def __init__(self, weights: str, sha256: str, threads: int = 0) -> None:
        """Check the file's hash and load it.

        Args:
            weights: path of an ``.onnx`` file or a TorchScript file (``.pt``, ``.ts``).
            sha256: of that file, as its giver published it or as you measured it once.
            threads: CPU threads; 0 = all cores.

        Raises:
            FunctionSetupError: no file, no hash, another file than the hash's, or no such encoder.
        """
        path = Path(weights)
        if not weights or not path.is_file():
            where = f"{weights} is not there" if weights else "no file is named"
            raise FunctionSetupError(
                f"Segment Anything needs the encoder's weights, which reefline does not ship: {where}; give an ONNX or "
                "TorchScript file of the ViT-H encoder and its sha256"
            )
        digest = _sha256(path)
        if digest != sha256.lower():
            stated = f"{sha256[:12]}... was stated" if len(sha256) == _HASH_LENGTH else "no sha256 was stated"
            raise FunctionSetupError(f"{path.name} has the sha256 {digest}, but {stated}: is it the file you mean?")
        self.reference = f"{path.stem}@user#{digest[:12]}"
        self._run = _onnx(path, threads) if path.suffix == ".onnx" else _torchscript(path)
        self.embed(np.zeros((8, 8, 3), np.uint8))  # a wrong model shows itself now, not at the first click

    def embed(self, image: Picture) -> NDArray[np.float32]:
        """The embedding of an upright uint8 RGB picture ``(H, W, 3)``.

        Raises:
            FunctionSetupError: the model gives something else than an embedding.
        """
        try:
            made = np.asarray(self._run(prepared(image)))
        except (EngineError, RuntimeError) as error:  # what ONNX Runtime and torch raise
            raise FunctionSetupError(f"{self.reference} cannot encode a picture: {_line(error)}") from error
        if made.shape != EMBEDDING:
            raise FunctionSetupError(f"{self.reference} gives {made.shape} where an embedding {EMBEDDING} is expected")
        return made.astype(np.float32)


def prepared(image: Picture) -> NDArray[np.float32]:
    """A picture as the encoder takes it: longest side 1024 px, normalised, filled up with zeros at right and bottom."""
    height, width = image.shape[:2]
    scale = SIDE_PX / max(height, width)
    size = (max(1, int(width * scale + 0.5)), max(1, int(height * scale + 0.5)))
    # Shrinking averages, as the antialiased resize of the original does.
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, size, interpolation=how).astype(np.float32)
    canvas = np.zeros((SIDE_PX, SIDE_PX, 3), np.float32)
    canvas[: size[1], : size[0]] = (small - _MEAN) / _SPREAD
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None])


def _onnx(path: Path, threads: int) -> Any:
    try:
        engine = open_engine("onnxruntime", path.read_bytes(), threads=threads)
        engine.load()
    except EngineError as error:
        raise FunctionSetupError(f"{path.name} cannot be used: {_line(error)}") from error
    return lambda batch: engine.predict(batch)[0]


def _torchscript(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise FunctionSetupError(f"{path.name} is TorchScript, which needs torch: install reefline[torch]") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model = torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        raise FunctionSetupError(f"{path.name} is no TorchScript file: {_line(error)}") from error

    def run(batch: NDArray[np.float32]) -> Any:
        with torch.inference_mode():
            return model(torch.from_numpy(batch).to(device)).float().cpu().numpy()

    return run


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
