"""Decoding and encoding the platform's own pictures (raw accepted, rectified, clean) inside a stage."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from assets.common.stage import PictureError
from labels.manifest import ManifestRow
from resources.tables import BatchTables

JPEG_QUALITY = 95


def load_rgb(tables: BatchTables, row: ManifestRow) -> NDArray[np.uint8]:
    """The picture of a manifest row as uint8 RGB ``(H, W, 3)``.

    Raises:
        PictureError: the stored file cannot be decoded any more.
    """
    return decode_rgb(tables.image(row), str(row.uri))


def decode_rgb(data: bytes, uri: str = "the stored picture") -> NDArray[np.uint8]:
    """A stored picture's bytes as uint8 RGB ``(H, W, 3)``; ``uri`` names it in the error.

    Raises:
        PictureError: the stored file cannot be decoded any more.
    """
    # Stored pictures are upright; an orientation tag left in the file must not turn them again.
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if image is None:
        raise PictureError(f"{uri} cannot be decoded: restore the file, or offer the photo again")
    return image


def save_jpeg(tables: BatchTables, stage: str, image: NDArray[np.uint8]) -> tuple[str, str]:
    """Store an RGB picture as JPEG; sha256 and key. The encoder is deterministic, so equal pixels give one file."""
    return tables.put_image(stage, _encode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]), "jpg")


def save_png(tables: BatchTables, stage: str, image: NDArray[np.uint8]) -> tuple[str, str]:
    """Store a mask or picture without loss as PNG; sha256 and key."""
    return tables.put_image(stage, _encode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 3]), "png")


def _encode(extension: str, image: NDArray[np.uint8], flags: list[int]) -> bytes:
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    ok, data = cv2.imencode(extension, pixels, flags)
    if not ok:
        raise PictureError(f"a {image.shape} picture could not be written as {extension}")
    return data.tobytes()
