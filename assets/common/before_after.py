"""A contact sheet of what a stage changed: the same crop before and after, the most doubtful pictures first."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from analytics.contact_sheet import Tile, contact_sheet, markdown_image
from assets.common.pictures import load_rgb
from labels.manifest import ManifestRow, Status
from resources.tables import BatchTables

SHOWN = 12
"""Pictures; each is decoded twice in full."""
CROP_SHARE = 0.22


def before_after_sheet(
    tables: BatchTables, before: Mapping[str, ManifestRow], after: Sequence[ManifestRow]
) -> str | None:
    """Crops of a batch as a markdown image; None when no picture was changed (the usual sheet is shown then).

    Args:
        before: rows by image id.
        after: rows of the stage, with ``removal_score`` and ``removal_defects`` in ``extra``.
    """
    made = [row for row in after if row.status == Status.OK and "removal_score" in row.extra]
    made = sorted((row for row in made if row.image_id in before), key=lambda row: row.extra["removal_score"])
    tiles = []
    for row in made[:SHOWN]:
        score = row.extra["removal_score"]
        tiles.append(_tile(tables, before[row.image_id], f"{row.image_id[:8]}  before"))
        tiles.append(_tile(tables, row, f"after  {score:.2f}" + ("  look" if row.extra["removal_defects"] else "")))
    if not tiles:
        return None
    return markdown_image(contact_sheet(tiles, "before and after, least believable first"), "image/jpeg")


def _tile(tables: BatchTables, row: ManifestRow, title: str) -> Tile:
    return Tile(load=lambda: crop(load_rgb(tables, row)), size=(1, 1), title=title)


def crop(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle, large enough to hold a crossing of any usual lattice."""
    side = max(1, round(CROP_SHARE * min(picture.shape[:2])))
    y, x = ((size - side) // 2 for size in picture.shape[:2])
    return picture[y : y + side, x : x + side]
