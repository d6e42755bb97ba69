"""Colonies through time: the years of a fixed quadrat laid over each other, and every colony followed under one id.

``registration`` lays two pictures over each other, ``matching`` pairs their outlines, ``events`` says what became of
each colony and how sure that is, ``tracks`` follows a quadrat through all its years, ``picture`` shows it.
"""

from __future__ import annotations

from analytics.colonies.events import Event, Sight, changes
from analytics.colonies.matching import Link, Outline, match
from analytics.colonies.registration import Registration, View, register
from analytics.colonies.schema import PICTURE_SCHEMA, TRACK_SCHEMA
from analytics.colonies.tracks import History, Outcome, Photo, follow

__all__ = [
    "PICTURE_SCHEMA",
    "TRACK_SCHEMA",
    "Event",
    "History",
    "Link",
    "Outcome",
    "Outline",
    "Photo",
    "Registration",
    "Sight",
    "View",
    "changes",
    "follow",
    "match",
    "register",
]
