"""Cover: the share of a quadrat that each taxon takes, from reviewed outlines on clean pictures, and what follows.

``quadrats`` measures one picture, ``uncertainty`` says what its figures are unsure of, ``summary`` gives sites and
years with intervals, levels of the taxonomy and trends, ``points`` what a point count would have said.
"""

from __future__ import annotations

from analytics.cover.quadrats import COLONY_SCHEMA, COVER_SCHEMA, Quadrat, colonies, quadrat_cover
from analytics.cover.summary import SUMMARY_SCHEMA, TREND_SCHEMA, Level, at_level, mean_interval, summarise, trends

__all__ = [
    "COLONY_SCHEMA",
    "COVER_SCHEMA",
    "SUMMARY_SCHEMA",
    "TREND_SCHEMA",
    "Level",
    "Quadrat",
    "at_level",
    "colonies",
    "mean_interval",
    "quadrat_cover",
    "summarise",
    "trends",
]
