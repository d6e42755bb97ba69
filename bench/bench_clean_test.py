"""``make test`` on a fresh clone with an empty HOME, its installation included; takes twenty minutes."""

from __future__ import annotations

from typing import Any

from bench.clean_machine import row


def rows() -> list[dict[str, Any]]:
    """Seconds of the command, and of its installation."""
    return [row("test")]
