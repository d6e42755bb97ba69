"""CVAT's webhook signature: hex HMAC-SHA256 over the raw body, in ``X-Signature-256``."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

HEADER = "X-Signature-256"
PREFIX = "sha256="


def sign(secret: str, body: bytes) -> str:
    """The header's value for a body."""
    return PREFIX + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def valid(header: str | None, body: bytes, secrets: Sequence[str]) -> bool:
    """Whether the header signs the body with one of the secrets (two during a rotation), in constant time.

    CVAT always sends the prefix ``sha256=``, its documentation shows the value without; both are taken.
    """
    given = (header or "").removeprefix(PREFIX)
    # Every secret is tried, so the time does not tell which one fits.
    fits = [hmac.compare_digest(given.encode(), sign(s, body).removeprefix(PREFIX).encode()) for s in secrets if s]
    return any(fits)
