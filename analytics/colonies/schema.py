"""The tables of colonies through time."""

from __future__ import annotations

import pyarrow as pa

TRACK_SCHEMA = pa.schema(
    [
        pa.field("survey", pa.string(), nullable=False),
        pa.field("site", pa.string(), nullable=False),
        pa.field("quadrat", pa.string(), nullable=False),
        pa.field("colony_id", pa.string(), nullable=False),
        pa.field("year", pa.int32(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("shape_id", pa.string()),
        pa.field("taxon", pa.string(), nullable=False),
        pa.field("cm2", pa.float64(), nullable=False),
        pa.field("event", pa.string(), nullable=False),
        pa.field("parents", pa.list_(pa.string()), nullable=False),
        pa.field("confidence", pa.float64()),
        pa.field("years", pa.int32()),
        pa.field("cm2_per_year", pa.float64()),
        pa.field("radial_mm_per_year", pa.float64()),
        pa.field("note", pa.string()),
    ],
    metadata={"reefline.schema": "colony_tracks", "reefline.version": "1"},
)
"""A row per colony and picture, and one for the year in which it is gone (``shape_id`` null, 0 cm2).

``event`` is one of ``analytics.colonies.events.Event``, since the picture before, ``years`` earlier; ``parents`` are
colonies it comes from, or for an absorbed colony the one it fused into."""

PICTURE_SCHEMA = pa.schema(
    [
        pa.field("survey", pa.string(), nullable=False),
        pa.field("site", pa.string(), nullable=False),
        pa.field("quadrat", pa.string(), nullable=False),
        pa.field("year", pa.int32(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("previous_year", pa.int32()),
        pa.field("previous_image_id", pa.string()),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("method", pa.string()),
        pa.field("confidence", pa.float64()),
        pa.field("error_cm", pa.float64()),
        pa.field("shift_cm", pa.float64()),
        pa.field("matrix", pa.list_(pa.float64())),
        pa.field("outlines", pa.int32(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
    ],
    metadata={"reefline.schema": "colony_pictures", "reefline.version": "1"},
)
"""A row per picture: how it was laid on the one before. ``matrix``: 3x3 row-major, centimetres to centimetres.

``key``: hash of all that the quadrat's history was made of; a rerun follows only quadrats whose key is another."""
