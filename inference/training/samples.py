"""Training pictures for the coral segmenter: rectified scenes without strings, or with strings inpainted."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.polygons import polygon_crop
from inference.scenes import SPLITS, TAXA, render_quadrat, render_scene

HELD_OUT_FROM = SPLITS["test"].start
"""Scene seeds from here on are never trained on."""
PICTURE_PX = 640
RENDERED_PX = 1000
CORE_SHARE = 0.28
"""How far from the edge a core begins, as a share of the colony's largest depth."""
HIDDEN = 0.5
"""A colony of which tape, fish or growth hide more than this is not asked for."""
SURVEY = "survey"
"""Scenes of the sample survey's own generator, beside the named settings of the benchmark's."""

Outlines = list[tuple[str, NDArray[np.float64]]]


def setting_of(seed: int) -> str:
    """Which generator and setting a seed is painted with: the sample survey's own, ``usual`` and ``hard`` alike."""
    return (SURVEY, "usual", "hard")[seed % 3]


def picture(seed: int, inpainted: bool, side_px: int = PICTURE_PX, setting: str = SURVEY) -> tuple[NDArray, Outlines]:
    """A straight picture as the segmenter gets it, uint8 RGB, and its outlines (taxon, ring) in the same pixels.

    Args:
        seed: of the scene.
        inpainted: whether strings were there and have been painted out; else they never were.
        side_px: of the picture.
        setting: of the benchmark's generator, or :data:`SURVEY`.
    """
    strung, bare, strings, rings = _survey_scene(seed) if setting == SURVEY else _benchmark_scene(seed, setting)
    image = bare if not inpainted else cv2.inpaint(strung, cv2.dilate(strings, np.ones((5, 5))), 3, cv2.INPAINT_TELEA)
    scale = side_px / RENDERED_PX
    small = cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return small, [(taxon, (ring + 0.5) * scale - 0.5) for taxon, ring in rings]


Rendered = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], Outlines]


def _survey_scene(seed: int) -> Rendered:
    rng = np.random.default_rng((seed, 99))
    scene = render_quadrat(seed, difficulty=float(rng.uniform(0, 0.8)), size=(1560, 1300))
    strung, bare = scene.rectified(RENDERED_PX), scene.clean(RENDERED_PX)
    differs = np.abs(strung.astype(np.int16) - bare).max(axis=2) > 12
    return strung, bare, differs.astype(np.uint8), scene.rings(RENDERED_PX)


def _benchmark_scene(seed: int, setting: str) -> Rendered:
    scene = render_scene(seed, setting, size=(1380, 1150))
    matrix = scene.frame.rectification(RENDERED_PX).array
    raw = scene.mask("strings").astype(np.uint8)
    strings = cv2.warpPerspective(raw, matrix, (RENDERED_PX, RENDERED_PX), flags=cv2.INTER_NEAREST)
    seen = zip(scene.frame.rings(RENDERED_PX), scene.colony_hidden(), strict=True)
    rings = [(taxon, ring) for (taxon, ring), hidden in seen if hidden <= HIDDEN]
    return scene.rectified(RENDERED_PX), scene.rectified(RENDERED_PX, scene.clean()), strings, rings


def targets(outlines: Outlines, side_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Taxon index per pixel (0 background) and core mask, ``(side_px, side_px)``.

    A pixel belongs to a colony when its centre does, so the painted area is the outline's.
    """
    taxa = np.zeros((side_px, side_px), np.uint8)
    core = np.zeros((side_px, side_px), np.uint8)
    for taxon, ring in outlines:
        one, left, top = polygon_crop(ring, [], (0, 0, side_px, side_px))
        if not one.any():
            continue
        where = (slice(top, top + one.shape[0]), slice(left, left + one.shape[1]))
        depth = cv2.distanceTransform(cv2.copyMakeBorder(one, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3)
        depth = depth[1:-1, 1:-1]
        taxa[where][one > 0] = TAXA.index(taxon) + 1
        core[where][depth > max(1.0, CORE_SHARE * float(depth.max()))] = 1
    return taxa, core
