"""Finding the lattice: the nodes where the strings cross, in a rectified picture.

How it works: a small network paints where strings cross (``learned``), geometry gives the crossings their numbers
(``numbering``) under a model of how a lattice hangs (``hanging``), and the strings are followed in straightened strips
along it (``strips``, ``tracks``) to a fraction of a pixel; ``merging`` decides for every node. ``geometry`` works
without a network: it searches wide strips first and fits a plane in perspective plus a smooth bulge (``fit``).
"""

from __future__ import annotations

from inference.lattice.finding import OPENCV, LatticeFinding
from inference.lattice.geometry import find_lattice
from inference.lattice.learned import LatticeFinder, open_lattice_finder

__all__ = ["OPENCV", "LatticeFinder", "LatticeFinding", "find_lattice", "open_lattice_finder"]
