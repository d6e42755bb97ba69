"""The corner finder without a network: borders, frames, and their refinement."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.corners.borders import border_candidates
from inference.corners.finding import CornerFinding
from inference.corners.frames import Frame, best_frames
from inference.corners.refine import refine_frame
from inference.selfchecks import check_corners

# The search runs on a picture of this long side; the frame's borders stay visible and texture averages out.
WORKING_PX = 480
# Borders are located on a picture of at most this long side: a fifth of a pixel of it is far below 1 px of 1920.
FINEST_PX = 4800
SMALLEST_PX = 64
_DARK_LEVEL = 4.0
# Right findings on Moorea and generated pictures have evidence from 0.5 up, wrong ones mostly below 0.35.
_EVIDENCE_SCALE = 0.4
_LEAST_EVIDENCE = 0.25
# A second opening counts as a frame of its own when it looks at least this good beside the best one.
_SECOND_SHARE = 0.6
_MOST_FRAMES = 400
# Borders that part bar from reef less clearly than this are searched once more, this share of the side around.
_CLEARLY_PARTED, _WIDER_SHARE = 0.85, 0.03


@dataclass(frozen=True, slots=True)
class Views:
    """One photo at the sizes the finders work at.

    Attributes:
        size: (width, height) of the photo.
        fine: the photo, or a smaller copy of a very big one.
        small: at most ``WORKING_PX`` wide and high, uint8 RGB.
    """

    size: tuple[int, int]
    fine: NDArray[np.uint8]
    small: NDArray[np.uint8]

    @classmethod
    def of(cls, image: NDArray[np.uint8]) -> Views:
        """Both sizes of ``(H, W, 3)``."""
        fine = shrunk(image, FINEST_PX)
        return cls((image.shape[1], image.shape[0]), fine, shrunk(fine, WORKING_PX))


def shrunk(image: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """The picture with a long side of at most ``longest``, by area averaging."""
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    if scale == 1.0:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def moved(points: NDArray[np.float64], source: tuple[int, int], target: tuple[int, int]) -> NDArray[np.float64]:
    """Points of a picture of one size (width, height) in its copy of another; pixel centres are whole numbers."""
    return (points + 0.5) * (np.array(target) / np.array(source)) - 0.5


def unusable(image: NDArray[np.uint8]) -> str | None:
    """Why nothing can be found in this picture, or None."""
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_PX:
        return f"the picture is {width} x {height}, too small to hold a frame"
    if float(image[:: max(1, height // 64), :: max(1, width // 64)].std()) < _DARK_LEVEL:
        return "the picture is uniform: nothing to see in it"
    return None


def frames_of(views: Views) -> list[Frame]:
    """The best frame in the working picture, and a second one elsewhere if there is one."""
    size = (views.small.shape[1], views.small.shape[0])
    frames = best_frames(border_candidates(views.small.astype(np.float32)), size, _MOST_FRAMES)
    if not frames:
        return []
    first = frames[0]
    apart = (f for f in frames[1:] if f.score >= _SECOND_SHARE * first.score and _apart(first, f))
    return [first, *[f for f, _ in zip(apart, range(1), strict=False)]]


def _apart(first: Frame, second: Frame) -> bool:
    low = np.maximum(first.corners.min(axis=0), second.corners.min(axis=0))
    high = np.minimum(first.corners.max(axis=0), second.corners.max(axis=0))
    common = float(np.prod(np.maximum(high - low, 0)))
    return common < 0.15 * min(float(np.prod(np.ptp(f.corners, axis=0))) for f in (first, second))


def find_corners(image_rgb: NDArray[np.uint8]) -> CornerFinding:
    """The inner corners of the frame's opening, by geometry alone.

    Args:
        image_rgb: raw photo, ``(H, W, 3)`` uint8 RGB, upright. The frame may be tilted by up to about 15 degrees.

    Returns:
        The finding; a picture without a frame gives ``points=None`` and a defect, never an exception.
    """
    if (reason := unusable(image_rgb)) is not None:
        return CornerFinding(None, 0.0, [reason])
    views = Views.of(image_rgb)
    return by_borders(views, frames_of(views))


def by_borders(views: Views, frames: list[Frame]) -> CornerFinding:
    """The finding for the frames of the working picture."""
    if not frames:
        return CornerFinding(None, 0.0, ["no frame found: no four straight borders form a square opening"])
    small, fine = ((v.shape[1], v.shape[0]) for v in (views.small, views.fine))
    refined = refine_frame(
        views.fine, moved(frames[0].corners, small, fine), reach=3.0 * max(fine[0] / small[0], fine[1] / small[1])
    )
    if refined.parted < _CLEARLY_PARTED:
        # The straightest step was perhaps the end of the bar's shadow, or a tape beside the bar.
        side = float(np.hypot(*(np.roll(refined.corners, -1, axis=0) - refined.corners).T).mean())
        wider = refine_frame(views.fine, refined.corners, reach=_WIDER_SHARE * side)
        refined = max(refined, wider, key=lambda one: one.parted)
    evidence = min(frames[0].score, refined.score)
    if evidence < _LEAST_EVIDENCE:
        return CornerFinding(None, 0.0, ["no frame found: the straightest borders do not stand out from the reef"])
    points = moved(refined.corners, fine, views.size)
    defects = check_corners(points, *views.size) + refined.defects
    if len(frames) > 1:
        defects.append("two frames in the picture: these are the corners of the clearer one")
    score = _confidence(evidence) * (0.5 if defects else 1.0)
    seen = {"frame": frames[0].score, "borders": refined.score, "parted": refined.parted}
    return CornerFinding(points, round(score, 4), defects, evidence=seen)


def _confidence(evidence: float) -> float:
    """Evidence (share of the border that looks right, 0..1) as a score: a clear frame passes a gate at 0.8."""
    return float(1 - np.exp(-((max(evidence, 0.0) / _EVIDENCE_SCALE) ** 2)))
