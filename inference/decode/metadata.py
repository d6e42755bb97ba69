"""EXIF: when, with what, and where a photo was taken; orientation; and whether the block is damaged."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from PIL import Image

_ORIENTATION, _MAKE, _MODEL, _DATETIME = 0x0112, 0x010F, 0x0110, 0x0132
_EXIF_IFD, _GPS_IFD, _DATETIME_ORIGINAL = 0x8769, 0x8825, 0x9003
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


def read_exif(picture: Image.Image) -> tuple[dict[str, Any], int, list[str]]:
    """EXIF of an opened picture as plain data, its orientation (1..8), and remarks on damage.

    The data has the keys that the file states out of ``datetime`` (``YYYY-MM-DDTHH:MM:SS``, camera time), ``make``,
    ``model``, and ``gps`` (``{"lat", "lon"}`` in degrees). Orientation stated only in XMP counts as well.
    """
    remarks = []
    raw = picture.info.get("exif")
    if isinstance(raw, bytes) and is_damaged(raw):
        remarks.append("EXIF data is damaged: what can be read is kept")
    facts: dict[str, Any] = {}
    orientation = 1
    try:
        exif = picture.getexif()
        stated = exif.get(_ORIENTATION, 1)
        orientation = stated if isinstance(stated, int) and 1 <= stated <= 8 else 1
        inner = exif.get_ifd(_EXIF_IFD)
        facts = {
            "datetime": _moment(inner.get(_DATETIME_ORIGINAL) or exif.get(_DATETIME)),
            "make": _text(exif.get(_MAKE)),
            "model": _text(exif.get(_MODEL)),
            "gps": _position(exif.get_ifd(_GPS_IFD)),
        }
    except Exception as error:
        # Pillow raises whatever its parser trips over (struct.error, TypeError, SyntaxError, ...); a photo is not
        # refused for its EXIF.
        remarks.append(f"EXIF data cannot be read ({type(error).__name__}): ignored")
    return {key: value for key, value in facts.items() if value is not None}, orientation, remarks


def is_damaged(block: bytes) -> bool:
    """Whether an EXIF block points beyond its own end (TIFF 6.0: header, then directories of 12-byte entries)."""
    body = block.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(body[:2])
    if order is None:
        return bool(body.strip(b"\x00"))
    try:
        (at,) = struct.unpack_from(f"{order}I", body, 4)
        (entries,) = struct.unpack_from(f"{order}H", body, at)
        for number in range(entries):
            _, kind, count, offset = struct.unpack_from(f"{order}HHII", body, at + 2 + 12 * number)
            size = _TYPE_SIZES.get(kind, 1) * count
            if size > 4 and offset + size > len(body):
                return True
    except struct.error:
        return True
    return False


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    text = "".join(c for c in value.split("\x00")[0].strip() if c.isprintable())
    return text[:200] or None


def _moment(value: Any) -> str | None:
    """``YYYY:MM:DD HH:MM:SS`` to ISO; ``None`` for the zeros and blanks that cameras without a clock write."""
    text = _text(value)
    if text is None or len(text) < 19:
        return None
    try:
        return datetime.fromisoformat(f"{text[:10].replace(':', '-')}T{text[11:19]}").isoformat()
    except ValueError:
        return None


def _position(gps: Mapping[int, Any]) -> dict[str, float] | None:
    lat, lon = _degrees(gps.get(2), gps.get(1), "S"), _degrees(gps.get(4), gps.get(3), "W")
    if lat is None or lon is None or not (abs(lat) <= 90 and abs(lon) <= 180):
        return None
    return {"lat": round(lat, 7), "lon": round(lon, 7)}


def _degrees(parts: Any, side: Any, negative: str) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in parts)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(value):
        return None
    return -value if _text(side) == negative else value
