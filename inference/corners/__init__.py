"""Finding the frame: the four inner corners of its opening in a raw photo, by geometry alone.

How it works: long straight borders with a smooth bar on their outer side are searched for each of the four sides
(``borders``), every choice of four is weighed as a frame seen in perspective (``frames``), and the winner's borders are
located again to a fraction of a pixel at full size (``refine``). Adjacent borders meet in the corners.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.corners.borders import border_candidates
from inference.corners.frames import best_frames
from inference.corners.refine import refine_frame
from inference.selfchecks import check_corners

MODEL = "opencv-corners@1"

# The search runs on a picture of this long side; the frame's borders stay visible and texture averages out.
WORKING_PX = 480
_SMALLEST_PX = 64
_DARK_LEVEL = 4.0
# Right findings on Moorea and generated pictures have evidence from 0.5 up, wrong ones mostly below 0.35.
_EVIDENCE_SCALE = 0.4
_LEAST_EVIDENCE = 0.25


@dataclass(frozen=True, slots=True)
class CornerFinding:
    """The corners of one photo, or why there are none.

    Attributes:
        points: ``(4, 2)`` float64 raw pixels, 1 TL, 2 TR, 3 BR, 4 BL; None when no frame was found.
        score: 0..1, how well the picture supports them; 0 when there are none.
        defects: readable one-line doubts; empty when all is well.
        method: how they were found.
        model: reference of this finder.
    """

    points: NDArray[np.float64] | None
    score: float
    defects: list[str] = field(default_factory=list)
    method: str = "borders"
    model: str = MODEL


def find_corners(image_rgb: NDArray[np.uint8]) -> CornerFinding:
    """The inner corners of the frame's opening.

    Args:
        image_rgb: raw photo, ``(H, W, 3)`` uint8 RGB, upright. The frame may be tilted by up to about 15 degrees.

    Returns:
        The finding; a picture without a frame gives ``points=None`` and a defect, never an exception.
    """
    height, width = image_rgb.shape[:2]
    if min(height, width) < _SMALLEST_PX:
        return CornerFinding(None, 0.0, [f"the picture is {width} x {height}, too small to hold a frame"])
    if float(image_rgb[:: max(1, height // 64), :: max(1, width // 64)].std()) < _DARK_LEVEL:
        return CornerFinding(None, 0.0, ["the picture is uniform: nothing to see in it"])
    scale = min(1.0, WORKING_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    frames = best_frames(border_candidates(small), size)
    if not frames:
        return CornerFinding(None, 0.0, ["no frame found: no four straight borders form a square opening"])
    frame = frames[0]
    zoom = np.array([width / size[0], height / size[1]])
    coarse = (frame.corners + 0.5) * zoom - 0.5
    refined = refine_frame(image_rgb, coarse, reach=3.0 * float(zoom.max()))
    evidence = min(frame.score, refined.score)
    if evidence < _LEAST_EVIDENCE:
        return CornerFinding(None, 0.0, ["no frame found: the straightest borders do not stand out from the reef"])
    defects = check_corners(refined.corners, width, height) + refined.defects
    score = _confidence(evidence) * (0.5 if defects else 1.0)
    return CornerFinding(refined.corners, round(score, 4), defects)


def _confidence(evidence: float) -> float:
    """Evidence (share of the border that looks right, 0..1) as a score: a clear frame passes a gate at 0.8."""
    return float(1 - np.exp(-((max(evidence, 0.0) / _EVIDENCE_SCALE) ** 2)))
