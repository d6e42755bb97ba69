"""Training pictures for the coral segmenter: rectified scenes without strings, or with strings inpainted."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.scenes import TAXA, render_quadrat
from labels.lattice import load_topology

HELD_OUT_FROM = 1_000_000
"""Scene seeds from here on are never trained on."""
PICTURE_PX = 640
CORE_SHARE = 0.28
"""How far from the edge a core begins, as a share of the colony's largest depth."""


def picture(
    seed: int, inpainted: bool, side_px: int = PICTURE_PX
) -> tuple[NDArray[np.uint8], list[tuple[str, NDArray]]]:
    """A straight picture as the segmenter gets it, and its outlines in the same pixels."""
    rng = np.random.default_rng((seed, 99))
    scene = render_quadrat(seed, difficulty=float(rng.uniform(0, 0.8)), size=(1560, 1300))
    big = 1000
    if not inpainted:
        image = scene.clean(big)
    else:
        topology = load_topology()
        mask = np.zeros((big, big), np.uint8)
        nodes = scene.nodes_unit * (big - 1) + rng.normal(0, 0.4, scene.nodes_unit.shape)
        for (start, end), string in zip(topology.string_ends, topology.strings, strict=True):
            path = np.vstack([start * (big - 1), nodes[list(string)], end * (big - 1)])
            cv2.polylines(mask, [np.round(path).astype(np.int32)], False, 255, int(rng.integers(6, 9)))
        image = cv2.inpaint(scene.rectified(big), mask, 3, cv2.INPAINT_TELEA)
    return cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_AREA), scene.rings(side_px)


def targets(outlines: list[tuple[str, NDArray]], side_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Taxon index per pixel (0 background) and core mask, ``(side_px, side_px)``."""
    taxa = np.zeros((side_px, side_px), np.uint8)
    core = np.zeros((side_px, side_px), np.uint8)
    for taxon, ring in outlines:
        one = np.zeros((side_px, side_px), np.uint8)
        cv2.fillPoly(one, [np.round(ring * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
        depth = cv2.distanceTransform(one, cv2.DIST_L2, 3)
        taxa[one > 0] = TAXA.index(taxon) + 1
        core[depth > max(1.0, CORE_SHARE * float(depth.max()))] = 1
    return taxa, core
