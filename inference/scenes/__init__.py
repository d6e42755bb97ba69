"""Scenes with known truth: painted photo quadrats for the sample survey, for training and for measuring.

``reef`` paints the bottom and its colonies on a plane, ``frame`` lays frame and strings on it, ``camera`` takes the
photo, ``scene`` puts them together, ``survey`` lets fixed quadrats live through years. Everything follows from a seed.
"""

from __future__ import annotations

from inference.scenes.reef import TAXA, Colony
from inference.scenes.scene import Scene, render_quadrat
from inference.scenes.survey import PlannedPhoto, plan_survey, sample_survey

__all__ = ["TAXA", "Colony", "PlannedPhoto", "Scene", "plan_survey", "render_quadrat", "sample_survey"]
