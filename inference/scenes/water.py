"""From the scene to the sensor: water, light, focus, motion, specks and grain.

What the camera adds depends on the picture's size and the seed alone, so the same photo can be taken again without
strings: it then differs only where strings (or their shadow) were.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inference.scenes.layers import Picture
from inference.scenes.optics import Camera
from inference.scenes.reef import Image, noise

_ROWS = 512
_COARSE = 8
"""Light and haze are computed at an eighth of the size."""


@dataclass(frozen=True, slots=True)
class Water:
    """One exposure.

    Attributes:
        turbidity: 0..1; how much of the light from the bottom is lost, and replaced by scattered light.
        veil: RGB of the scattered light.
        depth: 0..1; how much red the water has taken.
        particles: number of specks.
        vignette: loss of light in the photo's corners.
        caustics: strength of the light's net.
        blur_px: sigma of the focus in pixels.
        motion_px: (x, y) way of the picture during the exposure; truth is its middle.
        noise: sigma of the grain, 0..255.
        seed: of light, specks and grain.
    """

    turbidity: float
    veil: tuple[float, float, float]
    depth: float
    particles: int
    vignette: float
    caustics: float
    blur_px: float
    motion_px: tuple[float, float]
    noise: float
    seed: int


def expose(picture: Picture, camera: Camera, water: Water) -> Picture:
    """Take the photo of a composed scene; uint8 RGB in and out. Works in strips, so memory stays bounded."""
    width, height = camera.size
    rng = np.random.default_rng((water.seed, 1))
    gain, veil = _light(camera, water)
    kernel = _kernel(water)
    halo = 0 if kernel is None else kernel.shape[0] // 2 + 1
    specks = _specks(np.random.default_rng((water.seed, 2)), camera, water)
    photo = np.empty_like(picture)
    for top in range(0, height, _ROWS):
        bottom = min(height, top + _ROWS)
        a, b = max(0, top - halo), min(height, bottom + halo)
        strip = picture[a:b].astype(np.float32)
        strip = cv2.add(cv2.multiply(strip, _rows(gain, width, a, b)), _rows(veil, width, a, b))
        if kernel is not None and kernel.shape[1] == 1:
            strip = cv2.sepFilter2D(strip, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
        elif kernel is not None:
            strip = cv2.filter2D(strip, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        strip = np.ascontiguousarray(strip[top - a : bottom - a])
        _add_specks(strip, specks, top)
        photo[top:bottom] = _grained(strip, rng, water.noise)
    return photo


def _light(camera: Camera, water: Water) -> tuple[Image, Image]:
    """What a pixel's light is multiplied with, and what is added: both coarse ``(h, w, 3)``."""
    rng = np.random.default_rng((water.seed, 0))
    width, height = camera.size
    shape = (height // _COARSE + 2, width // _COARSE + 2)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) * _COARSE
    # Rays towards the rim are longer, and the tilt brings one side nearer.
    off = np.hypot(x - camera.centre[0], y - camera.centre[1]) / np.float32(camera.half_diagonal)
    path = np.sqrt(1 + 0.45 * off**2) * (1 + _tilt(camera, x, y))
    patchy = 1 + 0.12 * cv2.GaussianBlur(noise(rng, shape, min(shape) / 3), (0, 0), 2)
    fog = water.turbidity * path * patchy
    attenuation = np.array([1.25, 0.95, 1.0], np.float32)
    passed = np.exp(-1.35 * fog[..., None] * attenuation)
    cast = np.array([1 - 0.5 * water.depth, 1 - 0.08 * water.depth, 1 - 0.03 * water.depth], np.float32)
    light = (1 - water.vignette * off**2 * (0.6 + 0.4 * off**2)) * (1 + 0.05 * noise(rng, shape, min(shape) / 2.5))
    light *= _net(rng, shape, water.caustics)
    veil = np.array(water.veil, np.float32) * (1 - passed) * (1 - 0.6 * water.vignette * off**2)[..., None]
    return (passed * cast * light[..., None]).astype(np.float32), veil.astype(np.float32)


def _tilt(camera: Camera, x: Image, y: Image) -> Image:
    """Relative distance of the plane, about 0 in the middle."""
    inverse = np.linalg.inv(camera.unit_to_pinhole)
    w = inverse[2, 0] * x + inverse[2, 1] * y + inverse[2, 2]
    middle = inverse[2] @ np.array([*camera.centre, 1])
    return np.clip(middle / w - 1, -0.6, 0.8).astype(np.float32)


def _net(rng: Generator, shape: tuple[int, int], strength: float) -> Image:
    """Bright lines where waves focus the light."""
    cell = min(shape) / 9
    a, b = noise(rng, shape, cell), noise(rng, shape, cell * 0.6)
    lines = np.exp(-((a + 0.5 * b) ** 2) / 0.05) + 0.6 * np.exp(-((b - 0.4 * a) ** 2) / 0.04)
    return 1 + strength * (cv2.GaussianBlur(lines, (0, 0), 1.0) * 1.6 - 0.5)


def _rows(coarse: Image, width: int, top: int, bottom: int) -> Image:
    """Rows of a coarse map at full size; the same at a seam from both sides."""
    matrix = np.array([[1 / _COARSE, 0, 0], [0, 1 / _COARSE, top / _COARSE]])
    return cv2.warpAffine(
        coarse,
        matrix,
        (width, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _kernel(water: Water) -> Image | None:
    """Focus and motion as one filter, centred, so that it moves nothing; one column where it can be taken apart."""
    way = np.array(water.motion_px)
    reach = int(np.ceil(3 * water.blur_px + np.hypot(*way) / 2))
    if water.blur_px < 0.15 and np.hypot(*way) < 0.3:
        return None
    if np.hypot(*way) < 0.3:
        return cv2.getGaussianKernel(2 * reach + 1, water.blur_px, cv2.CV_32F)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    sigma = max(water.blur_px, 0.3)
    kernel = np.zeros_like(x)
    for share in np.linspace(-0.5, 0.5, 2 * max(1, int(np.hypot(*way))) + 1):
        kernel += np.exp(-((x - share * way[0]) ** 2 + (y - share * way[1]) ** 2) / (2 * sigma**2))
    return (kernel / kernel.sum()).astype(np.float32)


def _specks(rng: Generator, camera: Camera, water: Water) -> NDArray[np.float64]:
    """Backscatter: x, y, radius, brightness in raw pixels; most are small and far, a few near, large and faint."""
    count = water.particles
    scale = min(camera.size) / 1000
    place = rng.uniform(0, 1, (count, 2)) * camera.size
    radius = scale * np.exp(rng.normal(0.55, 0.65, count))
    bright = np.clip(rng.uniform(30, 120, count) * (1.6 * scale / np.maximum(radius, 0.6 * scale)) ** 1.1, 6, 130)
    return np.column_stack([place, np.maximum(radius, 0.7), bright])


def _add_specks(strip: Image, specks: NDArray[np.float64], top: int) -> None:
    for x, y, radius, bright in specks:
        reach = int(np.ceil(2.2 * radius)) + 1
        x0, x1 = max(0, int(x) - reach), min(strip.shape[1], int(x) + reach + 1)
        y0, y1 = max(0, int(y) - top - reach), min(strip.shape[0], int(y) - top + reach + 1)
        if x0 >= x1 or y0 >= y1:
            continue
        away = np.hypot(np.arange(x0, x1)[None] - x, np.arange(y0, y1)[:, None] + top - y) / radius
        disc = bright / (1 + np.exp(np.clip(5 * (away - 1), -30, 30)))
        strip[y0:y1, x0:x1] += disc[..., None].astype(np.float32) * np.array([0.9, 1.0, 0.97], np.float32)


def _grained(strip: Image, rng: Generator, sigma: float) -> Picture:
    """Grain: mostly of brightness, some of colour in coarser blots, as a camera's own processing leaves it."""
    rows, width = strip.shape[:2]
    grain = rng.standard_normal((rows, width), dtype=np.float32) * np.float32(0.9 * sigma)
    blots = rng.standard_normal((rows // 2 + 1, width // 2 + 1, 3), dtype=np.float32) * np.float32(0.45 * sigma)
    strip += cv2.resize(blots, (width, rows), interpolation=cv2.INTER_LINEAR)
    strip += grain[..., None]
    return np.clip(strip + 0.5, 0, 255).astype(np.uint8)
