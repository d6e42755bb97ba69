"""The ``reefline`` command line. A mistake of the user is one line and exit code 2; only bugs give tracebacks."""

from __future__ import annotations

from orchestration.cli.main import main

__all__ = ["main"]
