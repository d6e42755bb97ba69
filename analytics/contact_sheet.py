"""Contact sheets: a batch at a glance, every picture small with its shapes drawn on it."""

from __future__ import annotations

import base64
import colorsys
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from labels.schema import Kind, Shape

TILE_PX = 236
GAP_PX = 8
CAPTION_PX = 20
COLUMNS = 6
INK = (40, 48, 56)
PAPER = (250, 250, 248)
CORNER_COLOR = (255, 214, 10)
NODE_COLOR = (255, 92, 56)
QUALITIES = (84, 72, 60, 48, 36)
MOST_BYTES = 160_000
"""Dagster keeps sheets in its events, and reads those of hundreds of batches for one page of an asset."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the sheet.

    Attributes:
        load: gives the picture as uint8 RGB of any size; ``None`` for a picture that could not be made.
        size: (width, height) in pixels of the frame in which ``shapes`` are given.
        reason: shown in place of a picture that could not be made.
        colors: RGB by label; labels without one get a steady colour of their own.
    """

    load: Callable[[], NDArray[np.uint8]] | None
    size: tuple[int, int]
    title: str
    shapes: Sequence[Shape] = ()
    reason: str | None = None
    colors: dict[str, tuple[int, int, int]] = field(default_factory=dict)


def contact_sheet(tiles: Sequence[Tile], title: str = "", columns: int = COLUMNS) -> bytes:
    """The sheet as JPEG; of many pictures in a lower quality, to stay near :data:`MOST_BYTES`."""
    columns = max(1, min(columns, len(tiles)))
    rows = -(-len(tiles) // columns)
    cell = TILE_PX + GAP_PX
    head = 34 if title else 0
    sheet = np.full((head + rows * (cell + CAPTION_PX) + GAP_PX, columns * cell + GAP_PX, 3), PAPER, np.uint8)
    if title:
        _text(sheet, title, (GAP_PX, 23), 0.6, INK)
    for number, tile in enumerate(tiles):
        x = GAP_PX + number % columns * cell
        y = head + GAP_PX + number // columns * (cell + CAPTION_PX)
        sheet[y : y + TILE_PX, x : x + TILE_PX] = _draw(tile)
        _text(sheet, tile.title, (x + 2, y + TILE_PX + 15), 0.42, INK)
    bgr = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
    for quality in QUALITIES:
        ok, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not ok:
            raise ValueError(f"a contact sheet of {len(tiles)} pictures could not be written")
        if len(data) <= MOST_BYTES:
            break
    return data.tobytes()


def markdown_image(data: bytes, mime: str, alt: str = "contact sheet") -> str:
    """A picture inside markdown, as a data URI."""
    return f"![{alt}](data:{mime};base64,{base64.b64encode(data).decode()})"


def label_color(label: str) -> tuple[int, int, int]:
    """A steady, bright RGB colour for a label."""
    hue = int(hashlib.sha256(label.encode()).hexdigest()[:4], 16) / 0xFFFF
    r, g, b = colorsys.hsv_to_rgb(hue, 0.75, 1.0)
    return round(r * 255), round(g * 255), round(b * 255)


def _draw(tile: Tile) -> NDArray[np.uint8]:
    canvas = np.full((TILE_PX, TILE_PX, 3), 232, np.uint8)
    if tile.load is None:
        for i, line in enumerate(_wrapped(tile.reason or "no picture", 30)[:9]):
            _text(canvas, line, (10, 30 + 20 * i), 0.42, (150, 40, 30))
        return canvas
    image = tile.load()
    scale = TILE_PX / max(image.shape[:2])
    small = cv2.resize(
        image,
        (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))),
        interpolation=cv2.INTER_AREA,
    )
    drawn = _with_shapes(small, tile)
    y, x = (TILE_PX - small.shape[0]) // 2, (TILE_PX - small.shape[1]) // 2
    canvas[y : y + small.shape[0], x : x + small.shape[1]] = drawn
    return canvas


def _with_shapes(small: NDArray[np.uint8], tile: Tile) -> NDArray[np.uint8]:
    canvas = small.copy()
    factor = small.shape[1] / tile.size[0]
    fill = canvas.copy()
    for shape in tile.shapes:
        points = np.array(shape.points).reshape(-1, 2) * factor
        if shape.kind == Kind.POLYGON:
            color = tile.colors.get(shape.label) or label_color(shape.label)
            cv2.fillPoly(fill, [_fixed(points)], color, cv2.LINE_AA, 4)
    canvas = cv2.addWeighted(fill, 0.30, canvas, 0.70, 0)
    for shape in tile.shapes:
        points = np.array(shape.points).reshape(-1, 2) * factor
        if shape.kind == Kind.POLYGON:
            color = tile.colors.get(shape.label) or label_color(shape.label)
            cv2.polylines(canvas, [_fixed(points)], True, color, 1, cv2.LINE_AA, 4)
        elif shape.kind == Kind.SKELETON and len(points) == 4:
            cv2.polylines(canvas, [_fixed(points)], True, CORNER_COLOR, 1, cv2.LINE_AA, 4)
            _dots(canvas, points, CORNER_COLOR, 2.6)
        elif shape.kind == Kind.SKELETON:
            _dots(canvas, points, NODE_COLOR, 1.5)
    return canvas


def _dots(canvas: NDArray[np.uint8], points: NDArray[np.float64], color: tuple[int, int, int], radius: float) -> None:
    for x, y in points:
        cv2.circle(canvas, (round(x * 16), round(y * 16)), round(radius * 16), color, -1, cv2.LINE_AA, 4)


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.round(points * 16).astype(np.int32)


def _text(canvas: NDArray[np.uint8], text: str, at: tuple[int, int], size: float, color: tuple[int, int, int]) -> None:
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(canvas, plain, at, cv2.FONT_HERSHEY_SIMPLEX, size, color, 1, cv2.LINE_AA)


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width) or [""]
