"""Scenes with known truth: painted photo quadrats for the sample survey, for training and for measuring.

Two generators share the words and the taxa. The first paints the sample survey and never changes: ``reef`` paints the
bottom and its colonies on a plane, ``frame`` lays frame and strings on it, ``camera`` takes the photo, ``scene`` puts
them together, ``survey`` lets fixed quadrats live through years.

The second is the source of benchmarks and training pictures, with everything that goes wrong under water:
``settings`` names the troubles, ``splits`` says which seeds may be trained on, ``optics`` is pose and lens, ``seabed``
the bottom (``textures`` takes real photos instead), ``hanging`` and ``thread`` the strings, ``bars`` the frame,
``visitors`` tape and fish, ``layers`` lays them over each other, ``water`` takes the photo, ``truth`` tells what is
where, ``benchmark`` puts them together, ``python -m inference.scenes`` writes a set to disk.

Everything follows from a seed.
"""

from __future__ import annotations

from inference.scenes.benchmark import BenchmarkScene, render_scene
from inference.scenes.optics import Camera, Lens
from inference.scenes.reef import TAXA, Colony
from inference.scenes.scene import Scene, render_quadrat
from inference.scenes.settings import SETTINGS, Setting
from inference.scenes.splits import SPLITS, split_of, split_seeds
from inference.scenes.survey import PlannedPhoto, plan_survey, sample_survey
from inference.scenes.textures import PaintedLattice, TextureError, Textures, paint_lattice
from inference.scenes.thread import Thread
from inference.scenes.truth import FrameTruth

__all__ = [
    "SETTINGS",
    "SPLITS",
    "TAXA",
    "BenchmarkScene",
    "Camera",
    "Colony",
    "FrameTruth",
    "Lens",
    "PaintedLattice",
    "PlannedPhoto",
    "Scene",
    "Setting",
    "TextureError",
    "Textures",
    "Thread",
    "paint_lattice",
    "plan_survey",
    "render_quadrat",
    "render_scene",
    "sample_survey",
    "split_of",
    "split_seeds",
]
