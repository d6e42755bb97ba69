"""Training pictures and truth maps for the two finders, drawn afresh at every step from kept scenes and bottoms."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inference.training.finder_augment import Picture, cover_with_things, hills, lines, lit, polygon
from inference.training.finder_net import STRIDE
from inference.training.finder_samples import Photo, Square, pieces_of, random_topology
from labels.transforms import apply_homography, homography_from_points

CORNER_PX = 256
CROSSING_PX = 640
CROP_PX = 256
_INK_GAIN = 2.0
_UNIT = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
Maps = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Stock:
    """What training pictures are made from."""

    photos: list[Photo]
    squares: list[Square]
    bottoms: list[NDArray[np.uint8]]


def corner_sample(rng: Generator, stock: Stock) -> tuple[Picture, Maps]:
    """A photo ``(256, 256, 3)`` 0..1 and its maps: a hill a corner (TL, TR, BR, BL), and the opening."""
    side = CORNER_PX
    if rng.random() < 0.45:
        canvas, quads = _whole_photo(rng, stock, side)
    else:
        canvas, quads = _ground(rng, stock, side), []
        count = int(rng.choice([0, 1, 2], p=[0.08, 0.86, 0.06]))
        for number in range(count):
            quad = _random_quad(rng, side) if count == 1 else _half_quad(rng, side, number)
            canvas = _with_photo(rng, canvas, stock, quad) if rng.random() < 0.4 else _with_drawn(rng, canvas, quad)
            quads.append(quad)
    cover_with_things(rng, canvas, stock.bottoms)
    cells = side // STRIDE
    scaled = [(quad + 0.5) / STRIDE - 0.5 for quad in quads]
    maps = [hills(np.array([quad[k] for quad in scaled]).reshape(-1, 2), cells) for k in range(4)]
    opening = np.zeros((cells, cells), np.uint8)
    for quad in scaled:
        opening = np.maximum(opening, polygon(quad, cells))
    return lit(rng, canvas), np.stack([*maps, opening / np.float32(255)])


def _whole_photo(rng: Generator, stock: Stock, side: int) -> tuple[Picture, list[NDArray[np.float64]]]:
    """A photo as it is, but for a mirror and a small cut."""
    photo = stock.photos[int(rng.integers(len(stock.photos)))]
    image, frames = photo.image, photo.frames
    height, width = image.shape[:2]
    if rng.random() < 0.5:
        image, frames = image[:, ::-1], (frames * [-1, 1] + [width - 1, 0])[:, [1, 0, 3, 2]]
    if rng.random() < 0.5:
        image, frames = image[::-1], (frames * [1, -1] + [0, height - 1])[:, [3, 2, 1, 0]]
    share = rng.uniform(0.86, 1.0, 2)
    low = rng.uniform(0, 1, 2) * (1 - share) * [width, height]
    scale = side / (share * [width, height])
    matrix = np.column_stack([np.diag(scale), 0.5 * scale - 0.5 - low * scale])
    soft = cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), 0.35 / float(min(scale.min(), 1)))
    canvas = cv2.warpAffine(soft, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return canvas.astype(np.float32), [(frame + 0.5 - low) * scale - 0.5 for frame in frames]


def _ground(rng: Generator, stock: Stock, side: int) -> Picture:
    bottom = stock.bottoms[int(rng.integers(len(stock.bottoms)))]
    cut = int(rng.integers(side // 2, bottom.shape[0] + 1))
    y, x = rng.integers(0, bottom.shape[0] - cut + 1, 2)
    piece = np.rot90(bottom[y : y + cut, x : x + cut], int(rng.integers(4)))
    return cv2.resize(np.ascontiguousarray(piece), (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)


def _random_quad(rng: Generator, side: int) -> NDArray[np.float64]:
    """A frame as it may lie in a photo that was squashed to a square; now and then it reaches over the edge."""
    size = side * rng.uniform(0.42, 0.97)
    stretch = np.array([rng.uniform(0.62, 1.02), 1.0])
    if rng.random() < 0.15:
        stretch = stretch[::-1]
    turn = np.deg2rad(rng.normal(0, 5))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    quad = ((_UNIT - 0.5) @ rotation.T + rng.uniform(-0.045, 0.045, (4, 2))) * size * stretch
    room = np.maximum(0.0, side - np.ptp(quad, axis=0)) / 2
    shift = rng.uniform(-1, 1, 2) * room
    if rng.random() < 0.12:
        shift = shift + rng.normal(0, 0.2, 2) * side
    return quad + side / 2 + shift


def _half_quad(rng: Generator, side: int, number: int) -> NDArray[np.float64]:
    """One of two frames side by side, or one above the other."""
    size = side * rng.uniform(0.3, 0.44)
    quad = (_UNIT - 0.5 + rng.uniform(-0.04, 0.04, (4, 2))) * size
    centre = np.array([0.26 + 0.48 * number, rng.uniform(0.3, 0.7)]) * side
    return quad + (centre if rng.random() < 0.7 else centre[::-1])


def _with_photo(rng: Generator, canvas: Picture, stock: Stock, quad: NDArray[np.float64]) -> Picture:
    single = [photo for photo in stock.photos if len(photo.frames) == 1]
    photo = single[int(rng.integers(len(single)))]
    image, corners = photo.image, photo.frames[0]
    if rng.random() < 0.5:
        image, corners = image[:, ::-1], (corners * [-1, 1] + [image.shape[1] - 1, 0])[[1, 0, 3, 2]]
    side = canvas.shape[0]
    matrix = homography_from_points(corners, quad)
    factor = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    if factor < 0.8:
        image = cv2.GaussianBlur(image, (0, 0), 0.35 / factor)
    warped = cv2.warpPerspective(np.ascontiguousarray(image), matrix, (side, side), flags=cv2.INTER_LINEAR)
    # Inside the frame's outer rim everything is kept; further out the photo fades into the other bottom.
    reach = rng.uniform(1.16, 1.5)
    there = cv2.warpPerspective(np.full(image.shape[:2], 255, np.uint8), matrix, (side, side))
    rim = polygon(apply_homography(homography_from_points(_UNIT, quad), (_UNIT - 0.5) * reach + 0.5), side)
    soft = cv2.blur(cv2.min(there, rim), (9, 9)).astype(np.float32)[..., None] / 255
    alpha = cv2.blur(there, (5, 5)).astype(np.float32)[..., None] / 255 if rng.random() < 0.6 else soft
    return np.asarray(canvas * (1 - alpha) + warped * alpha, np.float32)


def _with_drawn(rng: Generator, canvas: Picture, quad: NDArray[np.float64]) -> Picture:
    """A plain or marked frame of any colour and width, drawn over the bottom."""
    side = canvas.shape[0]
    to_quad = homography_from_points(_UNIT, quad)
    width, over = rng.uniform(0.02, 0.1), rng.uniform(0, 0.1) * (rng.random() < 0.4)
    ink = rng.uniform(10, 250) + rng.normal(0, 25, 3) * (rng.random() < 0.5)
    if rng.random() < 0.25:
        ink = rng.uniform(0, 255, 3)
    if rng.random() < 0.6:
        topology = random_topology(rng)
        ends = apply_homography(to_quad, pieces_of(topology, topology.unit, 2).reshape(-1, 2))
        strings = lines(ends.reshape(-1, 4), side, 1)
        alpha = (strings / np.float32(255))[..., None] * np.float32(rng.uniform(0.4, 1))
        canvas = canvas * (1 - alpha) + rng.uniform(60, 255, 3).astype(np.float32) * alpha
    bars = np.zeros((side, side), np.float32)
    light = np.zeros((side, side), np.float32)
    # A pipe is lighter along its middle.
    round_ = float(rng.uniform(0, 0.4))
    for share in (1.0, 0.7, 0.4):
        inner, outer = width * (1 - share) / 2, width * (1 + share) / 2
        ring = np.zeros((side, side), np.uint8)
        for k in range(4):
            ring = np.maximum(ring, polygon(apply_homography(to_quad, _bar(k, inner, outer, over)), side))
        bars = np.maximum(bars, ring / np.float32(255))
        light += ring / np.float32(255) * np.float32(round_ / 3)
    shadow = cv2.GaussianBlur(np.roll(bars, tuple(int(v) for v in rng.integers(-6, 7, 2)), (0, 1)), (0, 0), 2.5)
    canvas = canvas * (1 - np.float32(rng.uniform(0, 0.45)) * np.clip(shadow - bars, 0, 1)[..., None])
    grime = cv2.resize(rng.normal(1, 0.08, (24, 24)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    paint = np.asarray(ink, np.float32) * ((0.8 + light) * grime)[..., None]
    if rng.random() < 0.4:
        plates = np.zeros((side, side), np.uint8)
        for corner in _UNIT:
            spot = corner + (corner - 0.5) * width
            patch = spot + (_UNIT - 0.5) * width * rng.uniform(0.9, 1.6)
            plates = np.maximum(plates, polygon(apply_homography(to_quad, patch), side))
        paint = np.where(plates[..., None] > 127, rng.uniform(0, 255, 3).astype(np.float32), paint)
    return np.asarray(canvas * (1 - bars[..., None]) + paint * bars[..., None], np.float32)


def _bar(side_number: int, inner: float, outer: float, over: float) -> NDArray[np.float64]:
    """One bar in units: from ``inner`` to ``outer`` beyond the opening, ending ``over`` behind the corners."""
    reach = outer + over
    bar = np.array([[-reach, -outer], [1 + reach, -outer], [1 + reach, -inner], [-reach, -inner]])
    turn = np.array([[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]]][side_number])
    return (bar - 0.5) @ turn.T + 0.5


def crossing_sample(rng: Generator, stock: Stock) -> tuple[Picture, Maps]:
    """A crop ``(256, 256, 3)`` 0..1 of a straightened picture and its maps: a hill a crossing, and the strings."""
    kind = rng.random()
    if kind < 0.55:
        square = stock.squares[int(rng.integers(len(stock.squares)))]
        image, nodes, ink = square.image, square.nodes, square.ink
    else:
        image = np.rot90(stock.bottoms[int(rng.integers(len(stock.bottoms)))], int(rng.integers(4)))
        image, nodes, ink = _strung(rng, np.ascontiguousarray(image), bare=kind > 0.95)
    matrix, scale = _crop(rng, image.shape[0])
    if scale < 0.85:
        image = cv2.GaussianBlur(image, (0, 0), 0.4 / scale)
    canvas = cv2.warpAffine(image, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR).astype(np.float32)
    nodes = nodes @ matrix[:, :2].T + matrix[:, 2]
    shown = cv2.warpAffine(ink, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR)
    hidden = cover_with_things(rng, canvas, stock.bottoms)
    index = np.clip(np.round(nodes).astype(int), 0, CROP_PX - 1)
    nodes = nodes[hidden[index[:, 1], index[:, 0]] < 128] if len(nodes) else nodes
    cells = CROP_PX // STRIDE
    shown = cv2.resize(np.where(hidden > 127, 0, shown), (cells, cells), interpolation=cv2.INTER_AREA)
    strings = np.clip(shown * np.float32(_INK_GAIN / 255), 0, 1)
    maps = np.stack([hills((nodes + 0.5) / STRIDE - 0.5, cells), strings])
    return lit(rng, canvas), maps.astype(np.float32)


def _crop(rng: Generator, side: int) -> tuple[NDArray[np.float64], float]:
    """A random place, size, small turn and mirror image: 2x3 matrix to the crop, and how much it shrinks."""
    scale = CROSSING_PX / side * float(np.exp(rng.uniform(np.log(0.7), np.log(1.4))))
    turn = np.deg2rad(rng.normal(0, 3) + 90 * rng.integers(4))
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if rng.random() < 0.5:
        linear = linear @ np.diag([-1, 1])
    half = 0.5 * CROP_PX / scale
    low, high = min(half, side / 2), max(side - half, side / 2)
    centre = rng.uniform(low - 0.1 * side * 0.2, high + 0.1 * side * 0.2, 2)
    return np.column_stack([linear, CROP_PX / 2 - linear @ centre]), scale


def _strung(
    rng: Generator, bottom: NDArray[np.uint8], bare: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.uint8]]:
    """Strings of any lattice, colour and width drawn on a bottom, some of them broken."""
    side = bottom.shape[0]
    topology = random_topology(rng)
    bend = rng.normal(0, 0.004, (2, 4))
    x, y = topology.unit.T
    basis = np.stack([np.sin(np.pi * x), np.sin(np.pi * y), np.sin(2 * np.pi * x), np.sin(2 * np.pi * y)])
    tilt = homography_from_points(_UNIT, _UNIT + rng.normal(0, 0.004, (4, 2)))
    nodes = apply_homography(tilt, topology.unit + (bend @ basis).T) * (side - 1)
    pieces = pieces_of(topology, nodes, side)
    if bare:
        return bottom, np.empty((0, 2)), np.zeros((side, side), np.uint8)
    kept = rng.random(len(pieces)) > (0.06 if rng.random() < 0.4 else 0.0)
    gone = pieces[~kept].reshape(-1, 2)
    pieces = pieces[kept]
    ink = cv2.GaussianBlur(lines(pieces, side, int(rng.integers(1, 6))), (0, 0), float(rng.uniform(0.4, 1.0)))
    alpha = (ink / np.float32(255))[..., None] * np.float32(rng.uniform(0.5, 1.0))
    shift = tuple(int(v) for v in rng.integers(-7, 8, 2))
    shadow = cv2.GaussianBlur(np.roll(alpha[..., 0], shift, (0, 1)), (0, 0), float(rng.uniform(0.6, 3)))
    image = bottom * (1 - np.float32(rng.uniform(0, 0.5)) * shadow[..., None])
    colour = rng.uniform(120, 255) + rng.normal(0, 30, 3) if rng.random() < 0.6 else rng.uniform(0, 255, 3)
    image = image * (1 - alpha) + np.asarray(colour, np.float32) * alpha
    if len(gone) and len(nodes):
        torn = (np.hypot(*(nodes[:, None] - gone[None]).transpose(2, 0, 1)) < 1).any(axis=1)
        nodes = nodes[~torn]
    return np.clip(image, 0, 255).astype(np.uint8), nodes, lines(pieces, side, 4)
