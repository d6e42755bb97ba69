"""What can go wrong with CVAT, in words that say what to do."""

from __future__ import annotations


class CvatUnavailable(RuntimeError):
    """CVAT cannot be reached, or has failed several times in a row. Trying later may help."""


class CvatRefused(RuntimeError):
    """CVAT does not allow or understand the request. Trying again does not help."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """``message`` for people, ``status`` of the answer when there was one."""
        super().__init__(message)
        self.status = status
