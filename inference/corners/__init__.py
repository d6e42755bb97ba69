"""Finding the frame: the four inner corners of its opening in a raw photo.

How it works: a small network paints where corners and opening are (``quads`` reads frames from its maps). Beside it,
long straight borders with a smooth bar on their outer side are searched for each of the four sides (``borders``), and
every choice of four is weighed as a frame seen in perspective (``frames``). Either one's borders are located again to a
fraction of a pixel (``refine``); neighbouring borders meet in the corners. ``learned`` lets the two check each other,
``geometry`` works without a network.
"""

from __future__ import annotations

from inference.corners.finding import OPENCV, CornerFinding
from inference.corners.geometry import find_corners
from inference.corners.learned import CornerFinder, open_corner_finder

__all__ = ["OPENCV", "CornerFinder", "CornerFinding", "find_corners", "open_corner_finder"]
