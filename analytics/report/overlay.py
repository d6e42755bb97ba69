"""A picture with what was proposed and what was reviewed drawn over it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from analytics.contact_sheet import label_color
from labels.schema import Kind, Shape

SIDE_PX = 640
PROPOSED = (255, 64, 160)
"""Magenta: no coral of the shipped taxonomies has it."""
_HALO = (40, 8, 28)
_DASH_PX, _GAP_PX = 7, 7
_QUALITY = 82


def overlay(
    picture: NDArray[np.uint8],
    size: tuple[int, int],
    proposed: Sequence[Shape],
    reviewed: Sequence[Shape],
    colors: Mapping[str, tuple[int, int, int]],
    side_px: int = SIDE_PX,
) -> bytes:
    """The picture as JPEG: reviewed outlines in their taxon's colour, proposals that people changed dashed in magenta.

    Args:
        picture: uint8 RGB of any size.
        size: (width, height) in pixels of the frame in which the shapes are given.
        colors: RGB by label.
        side_px: long side of the result.
    """
    scale = side_px / max(picture.shape[:2])
    width, height = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    canvas = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    factor = width / size[0]
    fill = canvas.copy()
    outlines = [s for s in reviewed if s.kind == Kind.POLYGON and len(s.points) >= 6]
    for shape in outlines:
        cv2.fillPoly(fill, [_fixed(_ring(shape, factor))], _color(shape, colors), cv2.LINE_AA, 4)
    canvas = cv2.addWeighted(fill, 0.22, canvas, 0.78, 0)
    for shape in outlines:
        cv2.polylines(canvas, [_fixed(_ring(shape, factor))], True, _color(shape, colors), 2, cv2.LINE_AA, 4)
    kept = {(shape.label, tuple(shape.points)) for shape in outlines}
    for shape in proposed:
        same = (shape.label, tuple(shape.points)) in kept
        if shape.kind == Kind.POLYGON and len(shape.points) >= 6 and not same:
            _dashed(canvas, _ring(shape, factor))
    # With colours at half the resolution, as JPEG has them by default, thin lines turn grey.
    whole = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    settings = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, *whole]
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR), settings)
    if not ok:
        raise ValueError(f"an overlay of {width} x {height} px could not be written")
    return data.tobytes()


def data_uri(data: bytes, mime: str = "image/jpeg") -> str:
    """Bytes as something an ``img`` can show without a file beside it."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _ring(shape: Shape, factor: float) -> NDArray[np.float64]:
    # Labels count from pixel centres, also after the picture has been made smaller.
    return (np.array(shape.points, float).reshape(-1, 2) + 0.5) * factor - 0.5


def _color(shape: Shape, colors: Mapping[str, tuple[int, int, int]]) -> tuple[int, int, int]:
    return colors.get(shape.label) or label_color(shape.label)


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.round(points * 16).astype(np.int32)


def _dashed(canvas: NDArray[np.uint8], ring: NDArray[np.float64]) -> None:
    closed = np.vstack([ring, ring[:1]])
    steps = np.hypot(*np.diff(closed, axis=0).T)
    along = np.concatenate([[0], np.cumsum(steps)])
    for start in np.arange(0, along[-1], _DASH_PX + _GAP_PX):
        at = np.linspace(start, min(start + _DASH_PX, along[-1]), 4)
        dash = np.stack([np.interp(at, along, closed[:, k]) for k in (0, 1)], axis=1)
        for colour, width in ((_HALO, 4), (PROPOSED, 2)):  # on dark rubble and on pale sand alike
            cv2.polylines(canvas, [_fixed(dash)], False, colour, width, cv2.LINE_AA, 4)
