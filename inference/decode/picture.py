"""From the bytes of a photo to an upright picture.

Safe to call from several threads: no state is shared and no warning filter is touched (``warnings.catch_warnings``
changes the whole process). What is remarkable about a file is found by looking at the file, not by catching warnings.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from inference.decode.colour import deep_rgb, is_srgb, to_8_bit, to_srgb
from inference.decode.container import is_whole_jpeg, kind_of, missing_heif_bytes, raw_camera_format
from inference.decode.errors import UndecodableImage
from inference.decode.metadata import read_exif

pillow_heif.register_heif_opener()

MAX_PIXELS = 250_000_000
"""Larger pictures are refused from their header: no camera makes them, but a few bytes can claim them."""

# Only formats that photos come in (JPEG includes MPO). Pillow knows others, some of which start programs (EPS).
_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF", "GIF", "BMP", "JPEG2000")
_BITS_PER_SAMPLE = 258
_PLAIN_PNG_GAMMA = 0.45455


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded photo.

    Attributes:
        image: uint8 RGB ``(height, width, 3)``, upright, sRGB.
        width: pixels, after turning upright.
        height: pixels, after turning upright.
        format: of the file, as Pillow names it: ``JPEG``, ``PNG``, ``TIFF``, ``HEIF``, ...
        exif: what the file states of ``datetime``, ``make``, ``model``, ``gps``.
        warnings: what a person should know; empty for a sound file.
        is_plain: the stored bytes are already an upright 8-bit sRGB JPEG or PNG that any viewer shows the same.
    """

    image: NDArray[np.uint8]
    width: int
    height: int
    format: str
    exif: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    is_plain: bool = False


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode a photo.

    Args:
        data: the bytes of the file.
        max_pixels: refuse pictures whose header claims more.

    Raises:
        UndecodableImage: empty, unknown, damaged, truncated, too large, or not a photo; the message is the reason.
    """
    if not data:
        raise UndecodableImage("the file is empty (0 bytes): copy it again from the camera")
    try:
        with _open(data) as picture:
            _refuse_bad_header(picture, data, max_pixels)
            return _decode(picture, data)
    except UndecodableImage:
        raise
    except Exception as error:
        # Decoders raise whatever they trip over: OSError, SyntaxError, struct.error, ValueError, MemoryError, ...
        raise UndecodableImage(_reason(error, data)) from error


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=_FORMATS)


def _refuse_bad_header(picture: Image.Image, data: bytes, max_pixels: int) -> None:
    width, height = picture.size
    if width * height > max_pixels:
        raise UndecodableImage(
            f"the header claims {width}x{height} pixels, more than the {max_pixels / 1e6:.0f} million that are allowed"
        )
    if picture.format in {"HEIF", "AVIF"} and (missing := missing_heif_bytes(data)):
        raise UndecodableImage(f"the file is truncated: at least {missing} bytes are missing at its end; copy it again")
    if picture.format == "TIFF" and (raw := raw_camera_format(data, dict(getattr(picture, "tag_v2", {})))):
        raise UndecodableImage(f"a raw camera file ({raw}): develop it and deliver JPEG or TIFF")


def _decode(picture: Image.Image, data: bytes) -> Decoded:
    stored = picture.format or "?"
    bits = _bits(picture, data)
    if stored not in {"JPEG", "MPO", "TIFF"}:
        picture.load()  # EXIF of these may stand behind the pixels, whose damage must not be taken for EXIF's
    exif, orientation, warnings = read_exif(picture)
    if stored == "JPEG" and "mp" in picture.info:
        warnings.append("the multi-picture header is malformed: the first picture is used")
    pages = _pages(picture)
    if pages > 1:
        warnings.append(f"the file holds {pages} pictures: the first one is used")
    plain = orientation == 1 and bits == 8 and not warnings and _is_plain(picture, data)
    image = _fast_jpeg(picture, data) if plain and stored == "JPEG" else None
    if image is None:
        image = _careful(picture, data, bits, orientation, warnings)
    return Decoded(image, image.shape[1], image.shape[0], stored, exif, warnings, plain and not warnings)


def _pages(picture: Image.Image) -> int:
    try:
        return int(getattr(picture, "n_frames", 1))
    except (OSError, ValueError, SyntaxError, EOFError):
        return 1


def _is_plain(picture: Image.Image, data: bytes) -> bool:
    if picture.mode not in {"RGB", "L"} or not is_srgb(picture.info.get("icc_profile")):
        return False
    if picture.format == "JPEG":
        return is_whole_jpeg(data)
    gamma = picture.info.get("gamma", _PLAIN_PNG_GAMMA)
    transparent = "transparency" in picture.info
    return picture.format == "PNG" and not transparent and abs(gamma - _PLAIN_PNG_GAMMA) < 1e-3


def _fast_jpeg(picture: Image.Image, data: bytes) -> NDArray[np.uint8] | None:
    """A plain JPEG by OpenCV, half again as fast as Pillow with its copy; ``None`` when it disagrees on the size."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return image if image is not None and image.shape[1::-1] == picture.size else None


def _careful(
    picture: Image.Image, data: bytes, bits: int | None, orientation: int, warnings: list[str]
) -> NDArray[np.uint8]:
    size, stored, profile = picture.size, picture.format, picture.info.get("icc_profile")
    picture.load()
    deep = deep_rgb(data, size) if stored in {"TIFF", "PNG"} and picture.mode == "RGB" and bits != 8 else None
    if deep is None:
        upright = ImageOps.exif_transpose(picture)
    else:
        stored_way = Image.fromarray(to_8_bit(deep.astype(np.int64), bits, warnings))
        stored_way.getexif()[0x0112] = orientation
        upright = ImageOps.exif_transpose(stored_way)
        upright.info["icc_profile"] = profile
    return np.array(to_srgb(upright, bits, warnings))


def _bits(picture: Image.Image, data: bytes) -> int | None:
    """Bits per sample as the file states them; ``None`` when it does not say."""
    if picture.format in {"JPEG", "MPO"}:
        return 8
    if picture.format == "PNG":
        return data[24]  # bit depth in the header chunk (IHDR)
    stated = getattr(picture, "tag_v2", {}).get(_BITS_PER_SAMPLE)
    values = stated if isinstance(stated, tuple) else (stated,)
    return max((value for value in values if isinstance(value, int)), default=None)


def _reason(error: Exception, data: bytes) -> str:
    kind = kind_of(data)
    text = " ".join(str(error).split())[:120]
    if isinstance(error, Image.DecompressionBombError):
        return f"the header claims more pixels than any photo has ({text})"
    if "truncated" in text.lower():
        return f"the file is truncated: its end is missing ({text}); copy it again"
    if isinstance(error, MemoryError):
        return "the picture does not fit into memory"
    if isinstance(error, UnidentifiedImageError):
        what = f"a damaged {kind} file, or a kind of {kind} that is not supported" if kind else "not a picture"
        return f"{what}: deliver JPEG, PNG, TIFF or HEIC"
    return f"the {kind or 'picture'} data is damaged ({text or type(error).__name__}): copy or export it again"
