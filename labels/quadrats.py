"""Quadrat names: site, year and quadrat out of a file name, and picture names that any program can live with."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

FIRST_YEAR, LAST_YEAR = 1950, 2100
DEFAULT_PATTERN = "{site}_{year}_{quadrat}"
MAX_NAME = 100
"""Longest picture name; CVAT stores 1024 characters, but archives and file systems stop at 255 bytes."""

_YEAR = r"(?P<year>(?:19[5-9]\d|20\d\d|2100))"
_DATE = r"(?P<year>(?:19[5-9]\d|20\d\d|2100))(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_PLACEHOLDERS = {
    "site": r"(?P<site>.+?)",
    "year": _YEAR,
    "date": _DATE,
    "quadrat": r"(?:(?:quadrat|quad|qu|q)-?)?(?P<quadrat>[A-Za-z]{0,3}\d{1,5}[A-Za-z]?)",
    "any": r".*?",
}
# What the default pattern also takes: the other order, and a full date as in the Moorea Coral Reef LTER's names
# (mcr_lter1_fringingreef_pole1-2_qu1_20080415).
_DEFAULT_ALSO = ("{site}_{quadrat}_{year}", "{site}_{quadrat}_{date}", "{site}_{date}_{quadrat}")


@dataclass(frozen=True, slots=True)
class QuadratName:
    """Where and when a photo quadrat was taken. ``quadrat`` is its number without leading zeros, or its code."""

    site: str
    year: int
    quadrat: str


def parse_quadrat_name(
    file_name: str, pattern: str = DEFAULT_PATTERN, sites: Mapping[str, str] | None = None
) -> tuple[QuadratName | None, str | None]:
    """Site, year and quadrat of a photo from its file name.

    Args:
        file_name: with or without extension.
        pattern: what names look like; see ``names.pattern`` of the survey file.
        sites: site codes and full names. When given, a code that is not among them is kept but remarked on.

    Returns:
        The name (``None`` when the file name does not fit) and what a person should know about it (``None`` if fine).
    """
    stem = _stem(file_name)
    patterns = (pattern, *_DEFAULT_ALSO) if pattern == DEFAULT_PATTERN else (pattern,)
    for candidate in patterns:
        match = _compiled(candidate).fullmatch(stem)
        if match:
            site, remark = _site(match["site"], sites or {})
            return QuadratName(site, int(match["year"]), _quadrat(match["quadrat"])), remark
    also = " or {site}_{quadrat}_{year}" if pattern == DEFAULT_PATTERN else ""
    return None, (
        f"the name {stem[:80]!r} does not fit {pattern}{also} with a year from {FIRST_YEAR} to {LAST_YEAR}: "
        "rename the file or set names.pattern in the survey file"
    )


def _stem(file_name: str) -> str:
    name = file_name.replace("\\", "/").rpartition("/")[2]
    return re.sub(r"\.[A-Za-z0-9]{2,5}$", "", unicodedata.normalize("NFC", name)).strip()


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts, seen = [], set()
    for part in re.split(r"({\w+})", pattern):
        name = part[1:-1]
        if part.startswith("{") and name in _PLACEHOLDERS:
            group = {"date": "year"}.get(name, name)
            text = re.sub(r"\?P<\w+>", "?:", _PLACEHOLDERS[name]) if group in seen else _PLACEHOLDERS[name]
            seen.add(group)
            parts.append(text)
        else:
            parts.append(re.escape(part))
    return re.compile("".join(parts), re.IGNORECASE)


def _site(code: str, sites: Mapping[str, str]) -> tuple[str, str | None]:
    folded = {key.casefold(): name for key, name in sites.items()}
    if not sites or code.casefold() in folded:
        return folded.get(code.casefold(), code), None
    if code.casefold() in {name.casefold() for name in sites.values()}:
        return code, None
    return code, f"site {code!r} is not among names.sites of the survey file ({', '.join(sites)}): kept as it is"


def _quadrat(text: str) -> str:
    return str(int(text)) if text.isdecimal() else text


def safe_name(original: str, image_id: str, ext: str) -> str:
    """A picture name that is safe in CVAT, archives and file systems, and unique: it ends in the image id.

    Only letters, digits, dash and underscore of ASCII remain of the original stem, at most 100 characters in all.

    Args:
        original: the photo's path or name, whatever it holds; may be empty.
        image_id: the picture's id.
        ext: extension, with or without its dot.
    """
    stem = PurePosixPath(original.replace("\\", "/")).name
    stem = re.sub(r"\.[A-Za-z0-9]{2,5}$", "", stem)
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9]+", lambda m: "-" if "-" in m[0] and "_" not in m[0] else "_", plain).strip("-_")
    suffix = re.sub(r"[^a-z0-9]", "", ext.lower())[:5] or "jpg"
    tail = f"{re.sub(r'[^A-Za-z0-9]', '', image_id)[:16] or 'picture'}.{suffix}"
    head = plain[: MAX_NAME - len(tail) - 2].rstrip("-_")
    return f"{head}__{tail}" if head else tail
