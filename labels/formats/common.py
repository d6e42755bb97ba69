"""What every format of a data set needs: the picture, an outline that can be written, and zip files without a clock."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from labels.formats.rle import RleError, decode_rle
from labels.raster import pixels_of
from labels.schema import Kind, Shape

HALF = 0.5
"""Other programs count from the outer corner of the top-left pixel, reefline from its centre."""

DECIMALS = 2
"""Of pixels in text formats: a point moves by at most 0.0071 px."""

LEVEL = 1
"""Of zip compression: higher ones take several times as long and gain a tenth."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


class FormatError(ValueError):
    """A label cannot be written or read in this format; the message names the picture and the object."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a data set: its id, file name inside it, size in pixels, split, and further facts."""

    image_id: str
    file_name: str
    width: int
    height: int
    extra: Mapping[str, Any] | None = None
    split: str = ""


@dataclass(frozen=True, slots=True)
class Pixels:
    """The pixels of an object: ``mask`` ``(h, w)`` bool, its first column ``left`` and row ``top`` in the picture."""

    mask: NDArray[np.bool_]
    left: int
    top: int

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.mask.sum())

    def on(self, height: int, width: int) -> NDArray[np.bool_]:
        """The same on the whole picture, ``(height, width)``."""
        full = np.zeros((height, width), bool)
        full[self.top : self.top + self.mask.shape[0], self.left : self.left + self.mask.shape[1]] = self.mask
        return full


def where(shape: Shape) -> str:
    """What to call an object in messages."""
    return f"{shape.image_id}/{shape.shape_id}"


def checked_outline(shape: Shape) -> Shape:
    """The outline itself, when it can be written.

    Raises:
        FormatError: fewer than three points, or coordinates that are no numbers.
    """
    for ring in (shape.points, *shape.holes):
        if len(ring) < 6 or len(ring) % 2:
            raise FormatError(f"{where(shape)}: an outline of {len(ring) // 2} points: draw at least three")
    # The sum is finite only when all are; adding is quicker than asking each.
    if not math.isfinite(sum(shape.points)) or not all(math.isfinite(sum(hole)) for hole in shape.holes):
        raise FormatError(f"{where(shape)}: coordinates that are no numbers: draw it again")
    return shape


def outline_polygon(shape: Shape) -> BaseGeometry:
    """An outline as a valid geometry, in the label table's pixels."""
    checked_outline(shape)
    rings = [np.asarray(ring, float).reshape(-1, 2) for ring in (shape.points, *shape.holes)]
    polygon = Polygon(rings[0], rings[1:])
    return polygon if polygon.is_valid else shapely.make_valid(polygon, method="structure", keep_collapsed=False)


def pixels(shape: Shape, picture: Picture) -> Pixels:
    """The pixels of an outline or mask that lie in its picture; none for other kinds.

    Raises:
        FormatError: it has no sound outline, or its run lengths do not fill the picture.
    """
    if shape.kind == Kind.MASK:
        try:
            return trimmed(decode_rle(shape.rle or "", picture.height, picture.width))
        except RleError as error:
            raise FormatError(f"{where(shape)}: {error}") from error
    if shape.kind != Kind.POLYGON:
        return Pixels(np.zeros((0, 0), bool), 0, 0)
    return Pixels(*pixels_of(outline_polygon(shape), (0, 0, picture.width - 1, picture.height - 1)))


def trimmed(mask: NDArray[np.bool_], left: int = 0, top: int = 0) -> Pixels:
    """A mask cut to its own bounding box."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return Pixels(np.zeros((0, 0), bool), left, top)
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Pixels(np.ascontiguousarray(cut), left + int(columns[0]), top + int(rows[0]))


def outer(flat: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Flat coordinates counted from the outer corner of the first pixel, rounded to :data:`DECIMALS`."""
    return np.round(np.asarray(flat, float) + HALF, DECIMALS)


def number_text(values: NDArray[np.float64]) -> bytes:
    """Numbers with a comma between them, each as short as it can be; rows of two with ``];[`` as JSON has it."""
    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)


def to_json(value: Any) -> bytes:
    """JSON with sorted keys and without spaces; numpy arrays and numbers as they are."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def by_picture(shapes: Iterable[Shape]) -> dict[str, list[Shape]]:
    """Shapes by picture, each list sorted by shape id."""
    grouped: dict[str, list[Shape]] = {}
    for shape in shapes:
        grouped.setdefault(shape.image_id, []).append(shape)
    for mine in grouped.values():
        mine.sort(key=lambda s: s.shape_id)
    return grouped


def zip_entry(name: str, packed: bool = True) -> zipfile.ZipInfo:
    """A zip member that does not tell the time, so that equal content gives equal bytes."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    info.external_attr = 0o644 << 16
    return info


def zipped(members: Mapping[str, bytes], packed: bool = True) -> bytes:
    """Members as a zip file, sorted by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            archive.writestr(zip_entry(name, packed), members[name], compresslevel=LEVEL)
    return buffer.getvalue()
