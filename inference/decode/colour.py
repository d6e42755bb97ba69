"""Whatever pixels a file holds, as 8-bit sRGB."""

from __future__ import annotations

import io
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from inference.decode.errors import UndecodableImage

_DEEP = {"I;16", "I;16B", "I;16L", "I;16N"}
_FULL_12 = 4095


def to_srgb(picture: Image.Image, bits: int | None, warnings: list[str]) -> Image.Image:
    """A loaded picture as mode ``RGB``; transparent pixels are laid over white.

    Args:
        picture: any mode.
        bits: bits per sample that the file states, if it does.
        warnings: remarks are added here.

    Raises:
        UndecodableImage: the samples are no brightness (floating point).
    """
    if picture.mode in _DEEP or picture.mode == "I":
        return Image.fromarray(to_8_bit(np.asarray(picture).astype(np.int64), bits, warnings)).convert("RGB")
    if picture.mode == "F":
        raise UndecodableImage("floating-point samples (a depth or height map?): export the photo as 8- or 16-bit")
    profile = picture.info.get("icc_profile")
    alpha = None
    if picture.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
        picture = picture.convert("RGB")
    elif picture.mode in {"P", "1", "YCbCr", "HSV"}:
        picture = picture.convert("RGB")
    rgb = _apply_profile(picture, profile, warnings)
    if alpha is None or alpha.getextrema() == (255, 255):
        return rgb
    warnings.append("transparent pixels were laid over white")
    white = Image.new("RGB", rgb.size, (255, 255, 255))
    white.paste(rgb, mask=alpha)
    return white


def to_8_bit(samples: NDArray[np.integer], bits: int | None, warnings: list[str]) -> NDArray[np.uint8]:
    """Samples of more than 8 bits scaled by their full range (16 bits: divided by 257), rounded.

    Cameras and scanners also store 12 bits in 16 without saying so; a picture whose brightest sample is under 1/16 of
    the range is taken for one, and the remark says so.
    """
    full = (1 << bits) - 1 if bits and 8 < bits <= 16 else 65535
    if full == 65535 and 0 < int(samples.max(initial=0)) <= _FULL_12:
        full = _FULL_12
        warnings.append("16-bit samples that use 12 bits only: scaled as 12-bit")
    return np.clip((samples * 255 + full // 2) // full, 0, 255).astype(np.uint8)


def deep_rgb(data: bytes, size: tuple[int, int]) -> NDArray[np.uint16] | None:
    """16-bit RGB of a TIFF or PNG, ``(H, W, 3)``, as stored; ``None`` when it is not of that kind.

    Pillow keeps only the high byte of 16-bit colour, OpenCV keeps both.
    """
    try:
        flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    if image is None or image.dtype != np.uint16 or image.ndim != 3 or image.shape != (size[1], size[0], 3):
        return None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def is_srgb(profile: bytes | None) -> bool:
    """Whether a colour profile is absent or sRGB itself, so that the samples can be taken as they are."""
    if not profile:
        return True
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(opened)
    except (ImageCms.PyCMSError, OSError):
        return False
    return "srgb" in name.lower() and opened.profile.xcolor_space.strip() == "RGB"


def _apply_profile(picture: Image.Image, profile: bytes | None, warnings: list[str]) -> Image.Image:
    if picture.mode == "LAB":
        return _convert(picture, _named("LAB"), "LAB")
    if profile and not (picture.mode in {"RGB", "L"} and is_srgb(profile)):
        try:
            opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if picture.mode == "L" and opened.profile.xcolor_space.strip() == "RGB":
                picture = picture.convert("RGB")
            return _convert(picture, opened, picture.mode)
        except (ImageCms.PyCMSError, OSError, ValueError):
            warnings.append("the colour profile cannot be used: colours are taken as sRGB")
    elif picture.mode == "CMYK":
        warnings.append("CMYK without a colour profile: colours are approximate")
    return picture.convert("RGB")


def _convert(picture: Image.Image, source: ImageCms.ImageCmsProfile, mode: str) -> Image.Image:
    transform = ImageCms.buildTransform(source, _named("sRGB"), mode, "RGB", ImageCms.Intent.PERCEPTUAL)
    return ImageCms.applyTransform(picture, transform) or picture  # None only when asked to work in place


@cache
def _named(name: str) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB" if name == "LAB" else "sRGB"))
