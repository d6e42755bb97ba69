"""What a CVAT server of a given version can and cannot do for reefline. Facts from CVAT's changelog and sources."""

from __future__ import annotations

import re
from dataclasses import dataclass

OLDEST = (2, 29)
"""The version QUADRATSEG ran; older servers were never tried."""
NEWEST = (2, 80)
"""The newest version whose API was looked at."""
RETRIES_FROM = (2, 68)
"""From here on CVAT sends a failed webhook again (pull request 10578)."""
CHANGES_FROM = (2, 73)
"""From here on payloads say ``changes``, and events of requests exist."""


@dataclass(frozen=True, slots=True)
class Compatibility:
    """``supported``: whether reefline works with it; ``remarks``: what is different there, a sentence each."""

    version: str
    supported: bool
    remarks: tuple[str, ...]


def compatibility(version: str) -> Compatibility:
    """What to expect of a server that calls itself ``version``."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if not found:
        return Compatibility(version, True, ("its version cannot be read: it is treated as the newest known",))
    number = (int(found[1]), int(found[2]))
    remarks = []
    if number < OLDEST:
        remarks.append(f"it is older than {_text(OLDEST)}, the oldest that was tried: upgrade CVAT")
    if number > NEWEST:
        remarks.append(f"it is newer than {_text(NEWEST)}, the newest that was looked at: watch 'reefline inbox list'")
    if number < RETRIES_FROM:
        remarks.append("it sends every webhook once: what is lost is found by the reconciliation schedule")
    if number >= CHANGES_FROM:
        remarks.append("its webhooks name changes in the new way, which is understood")
    return Compatibility(version, number >= OLDEST, tuple(remarks))


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
